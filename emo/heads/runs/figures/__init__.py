"""Figures of runs: confusion of classes, training curves, compared scores.

May import: what heads.runs may.
Read first: confusion.py.
"""
