"""What `emo list` prints: a table of all plugins of a kind, or everything about one of them.

May import: what commands may.
Read first: table.py.
"""
