"""The bytes of one part: write, map, verify. The format is described in docs/store-format.md.

Knows no recipe folder.

May import: errors, plugins, ragged, store.backend, store.recipe.
Read first: reader.py.
"""
