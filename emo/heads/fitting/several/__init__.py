"""Fits of several heads on the same clips, and forecasts of how long they take.

May import: what heads.fitting may.

Read first: all_heads.py.
"""
