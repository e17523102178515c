"""Plugins: data sets of single texts.

Read first: goemotions.py.
"""
