"""Plugins: data sets of clips cut from films, talks and shows.

Read first: dfew.py.
"""
