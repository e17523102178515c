"""`emo store erase`: remove clips from a store and from runs, and prove that nothing of them stays.

May import: errors, machine, manifest, plugins, store.adapted, store.backend, store.erased_ids,
store.exchange, store.index, store.maintain, store.part, store.recipe, store.recipe_folder,
store.store, untrusted.
Read first: erase.py.
"""
