"""Plugins: data sets of single utterances, with speech and sometimes a face.

Read first: ravdess.py.
"""
