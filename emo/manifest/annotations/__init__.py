"""Annotations of recordings (ELAN, Praat, subtitles …) as rows of a manifest, one file a format.

Read first: format.py.
"""
