"""Decode the sound of a file at its own time: track, seeks, holes, damage.

Read first: audio.py.
"""
