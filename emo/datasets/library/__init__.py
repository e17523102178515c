"""Plugins: each file reads one data set; the file's name is the name of the data set.

The sub-folders group data sets by what they hold; the name of a data set does not contain them.

Read first: folder.py.
"""
