"""Numbers from samples and text: spectrograms, pitch, hashed words. No model and no clip.

May import: nothing of emo.
Read first: audio.py.
"""
