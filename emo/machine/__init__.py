"""Facts about this machine, and files that are written whole on its disk.

May import: errors.
Read first: whole_file.py.
"""
