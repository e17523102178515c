"""Linear models solved to their optimum: tensors in, solutions out. Knows no head, no store.

May import: heads.labels.
Read first: path.py.
"""
