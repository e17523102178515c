"""Compute features from samples and text: spectrograms, pitch, hashed words. No model, no clip.

May import: errors, machine, untrusted.
Read first: audio.py.
"""
