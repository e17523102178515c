"""Move clips between a store and other file formats: the Format contract, import, export, packs.

May import: errors, machine, plugins, ragged, store.adapted, store.backend, store.lazy,
    store.maintain, store.part, store.recipe, store.recipe_folder, store.store, untrusted.
Read first: format.py.
"""
