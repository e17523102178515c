"""Plugins: each file writes runs for one tracker; the file's name is the tracker's name.

Read first: tensorboard.py.
"""
