"""All parts of a recipe as one: choose among a clip's entries, find its tokens, gather them.

May import: errors, machine.untrusted, ragged, store.backend, store.lazy, store.part, store.recipe.
Read first: merged.py.
"""
