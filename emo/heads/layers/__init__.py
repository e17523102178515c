"""Layers on ragged tokens, from which the heads of the library are built.

May import: heads.data, heads.head, heads.labels, ragged.
Read first: segments.py.
"""
