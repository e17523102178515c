"""The demo: a synthetic data set of one warped photograph, made-up speech and templates.

May import: everything.
Read first: run.py.
"""
