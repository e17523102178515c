"""What a media file's own structure tells without decoding: whether it was cut, joined or damaged.

May import: errors, untrusted; container.py, and files by their place from sources/.
Read first: truncated.py.
"""
