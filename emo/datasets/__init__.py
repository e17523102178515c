"""Data sets: read a download in its published layout and write its manifest.

May import: check, errors, machine, manifest, plugins, untrusted.
Read first: dataset.py.
"""
