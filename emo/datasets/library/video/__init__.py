"""Plugins: data sets of clips cut from films, talks and shows.

Read first: qia2020.py.
"""
