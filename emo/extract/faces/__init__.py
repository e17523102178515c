"""Find faces in frames, follow them over time and crop them. No clip and no job is known here.

May import: extract.media, extract.models, machine.
Read first: tracks.py.
"""
