"""Models of Hugging Face transformers: what they read, their options and which output is kept.

Read first: kinds.py.
"""
