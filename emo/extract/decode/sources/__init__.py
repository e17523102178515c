"""Bytes of media that are no local files: objects in buckets, https URLs, members of tar shards.

Media are opened as files of Python, and nothing else of the decoder knows where they lie.

May import: errors, manifest, store.backend, untrusted.
Read first: media_file.py.
"""
