"""Decode a few pictures of a long track by seeking, where that provably gives the right pixels.

A picture that is had by a seek must have the bits that decoding the whole track gives it. Where
that cannot be shown, `seek.Unsure` is raised, and the caller decodes from the file's first packet.

May import: machine; container.py.
Read first: seek.py.
"""
