"""Plugins: each file reads one data set; the file's name is the name of the data set.

Read first: ravdess.py.
"""
