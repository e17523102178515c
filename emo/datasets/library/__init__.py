"""Plugins: one data set a file. The file name is the name of the data set.

Read first: ravdess.py.
"""
