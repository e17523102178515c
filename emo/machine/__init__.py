"""Help with this machine and process: processor, whole files, terminal, libraries, own classes.

The folder untrusted/ reads files that strangers may have made.

May import: errors.
Read first: whole_file.py.
"""
