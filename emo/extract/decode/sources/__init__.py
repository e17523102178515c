"""Bytes of media that are no local files: objects in buckets, https URLs, members of tar shards.

Media are opened as files of Python, and nothing else of the decoder knows where they lie.

May import: errors, machine.untrusted, manifest, store.backend.
Read first: media_file.py.
"""
