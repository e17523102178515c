"""Cross-validation: one fit for each fold, and the results of all folds gathered.

May import: the rooms of heads.fitting.
Read first: cross_validate.py.
"""
