"""Options that several commands share: their types and help, sections of a help, executors' flags.

May import: errors, plugins, store.backend, table.
Read first: options.py.
"""
