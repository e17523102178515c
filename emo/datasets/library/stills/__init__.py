"""Plugins: data sets of still pictures of faces; a picture is a video of one frame.

Read first: rafdb.py.
"""
