"""Decode a clip: from its files and the backbones' `Needs` to one `Media` for each backbone.

This is the only folder that opens media files (PyAV).

May import: errors, extract.faces, extract.media, machine, machine.untrusted, manifest,
    store.backend.
Read first: decode.py.
"""
