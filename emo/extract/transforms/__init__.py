"""Compute features from samples and text: spectrograms, pitch, hashed words. No model, no clip.

May import: errors, untrusted.
Read first: audio.py.
"""
