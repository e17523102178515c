"""Many parts as one recipe: which entry of a clip wins, where its tokens lie, gathering them.

May import: errors, ragged, store.backend, store.lazy, store.part, store.recipe.
Read first: merged.py.
"""
