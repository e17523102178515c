"""Move clips between a store and other file formats: the Format contract, import, export, packs.

May import: errors, machine, machine.untrusted, plugins, ragged, store.adapted, store.backend,
    store.lazy, store.maintain, store.part, store.recipe, store.recipe_folder, store.store.
Read first: format.py.
"""
