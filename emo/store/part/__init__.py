"""The file of one part: write it, map it, verify it. docs/store-format.md describes the format.

Promises: nothing here knows the folder or the other parts of a recipe.

May import: errors, machine.untrusted, plugins, ragged, store.backend, store.recipe.
Read first: reader.py.
"""
