"""Plugins: data sets of dialogues, as text, speech or video.

Read first: meld.py.
"""
