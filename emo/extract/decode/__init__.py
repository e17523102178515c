"""Where a clip's media lie and what backbones need in; decoded `Media` out, in one pass.

The only folder that opens media files (PyAV).

May import: errors, extract.faces, extract.media, manifest.
Read first: decode.py.
"""
