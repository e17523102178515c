"""Data sets: read a download in its published layout and write its manifest.

The folder check/ finds errors in any manifest and its files; synthetic/ makes the demo's clips.

May import: datasets.check, errors, machine, machine.untrusted, manifest, plugins.
Read first: dataset.py.
"""
