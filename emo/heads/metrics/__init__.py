"""Compute scores and bootstrap intervals from labels and predictions, in numpy; imports no torch.

May import: errors, heads.labels.
Read first: measures.py.
"""
