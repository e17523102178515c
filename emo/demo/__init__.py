"""The demo: a synthetic data set (a warped photograph, synthetic speech, template sentences).

May import: everything.
Read first: run.py.
"""
