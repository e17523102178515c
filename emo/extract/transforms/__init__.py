"""Compute features from samples and text: spectrograms, pitch, hashed words. No model, no clip.

May import: nothing of emo.
Read first: audio.py.
"""
