"""Frames in; face boxes, tracks and crops out. Knows no clip and no job.

May import: extract.media, extract.models.
Read first: tracks.py.
"""
