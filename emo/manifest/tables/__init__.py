"""Tables of text cells: their bytes and limits, and a file for each format.

May import: errors, machine, machine.untrusted, plugins, store.backend.
Read first: text_table.py.
"""
