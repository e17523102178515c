"""Compute features from samples and text: spectrograms, pitch, trimmed ends, hashed words.

May import: errors, machine, machine.untrusted.
Read first: audio.py.
"""
