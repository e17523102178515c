"""All parts of a recipe as one: choose among a clip's entries, find its tokens, gather them.

May import: errors, ragged, store.backend, store.lazy, store.part, store.recipe, untrusted.
Read first: merged.py.
"""
