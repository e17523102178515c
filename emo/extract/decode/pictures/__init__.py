"""Decode the pictures of a file as they are shown: track, times, display matrix, damage, stills.

Read first: video.py.
"""
