"""Predict millions of clips into a folder or bucket, as Parquet parts, in constant memory.

A part is named by what its predictions depend on, so that work that is done is not done again.
Read first: to_parts.py.
"""
