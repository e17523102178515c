"""Solve linear models to their optimum, given tensors; knows nothing of heads and stores.

May import: heads.labels.
Read first: path.py.
"""
