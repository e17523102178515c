"""What a browser can show of a clip: its own file where that plays, else a small copy of it.

Read first: plays.py.
"""
