"""Which parameters are trained, and how: all, LoRA matrices, those a pattern names.

May import: everything.
Read first: method.py.
"""
