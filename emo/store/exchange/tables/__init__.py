"""Read wide tables of other tools, whose columns are the numbers of a feature.

May import: what `store.exchange` may.
Read first: file.py.
"""
