"""Data-set recipes: a download in its published layout in, a manifest out.

May import: check, errors, manifest, plugins, table.
Read first: dataset.py.
"""
