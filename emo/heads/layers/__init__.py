"""Modules and functions on ragged tokens, from which the library of heads is built.

May import: heads.data, heads.head, heads.labels, ragged.
Read first: segments.py.
"""
