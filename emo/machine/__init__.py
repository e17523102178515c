"""Help with this machine and process: processor, whole files, terminal, libraries, own classes.

May import: errors.
Read first: whole_file.py.
"""
