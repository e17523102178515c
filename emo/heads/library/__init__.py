"""Plugins: one head for each file. The file name is the name of the head.

May import: errors, heads.head, heads.inner_folds, heads.labels, heads.layers, heads.options,
    heads.solvers, ragged.
Read first: mean_pool.py.
"""
