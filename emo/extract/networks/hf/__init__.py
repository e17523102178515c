"""Hugging Face models by kind: their inputs, options and outputs.

Read first: kinds.py.
"""
