"""The formats of annotations, one file each; the file's name is the format's name.

Read first: audacity.py.
"""
