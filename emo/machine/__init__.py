"""Facts about this machine: its processor; files written whole; tables for its terminal.

May import: errors.
Read first: whole_file.py.
"""
