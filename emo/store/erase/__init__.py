"""`emo store erase`: remove clips from a store and from runs, and prove that nothing of them stays.

May import: errors, machine, machine.untrusted, manifest, plugins, store.adapted, store.backend,
    store.erased_ids, store.exchange, store.index, store.maintain, store.part, store.recipe,
    store.recipe_folder, store.store.
Read first: erase.py.
"""
