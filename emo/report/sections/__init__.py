"""The sections of a page: what it says of one run and of its clips.

May import: what report may.
Read first: run_facts.py.
"""
