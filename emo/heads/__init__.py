"""Stage 2: fit light heads on cached features; works where no backbone is installed.

May import: nothing of emo.
Read first: head.py.
"""
