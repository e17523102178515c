"""Ranked runs as tables of a paper, and the tests of all runs against one.

May import: the rooms of heads.runs.
Read first: baseline.py.
"""
