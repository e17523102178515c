"""A local folder or a bucket behind one face: names, whole-file commits, ranged reads, cache.

Knows no part.

May import: errors, store.recipe.
Read first: location.py.
"""
