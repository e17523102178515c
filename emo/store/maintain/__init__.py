"""Maintain a store: verify, quarantine, clean, compact, index.

May import: errors, store.adapted, store.backend, store.erased_ids, store.index, store.part,
    store.recipe, store.recipe_folder, store.store.
Read first: verify.py.
"""
