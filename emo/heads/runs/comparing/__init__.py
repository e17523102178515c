"""Compare runs: rank them, test their differences, and print the tables of a paper.

May import: the rooms of heads.runs.
Read first: compare.py.
"""
