"""Plugins: videos with captions or questions.

Read first: msrvtt.py.
"""
