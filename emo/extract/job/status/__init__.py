"""`emo job status` and `emo job watch`: how far a job is, as text for a terminal and as a page.

May import: what extract.job may.
Read first: status.py.
"""
