"""Options that several commands share: their types and help, sections of a help, executors' flags.

May import: errors, machine, plugins, store.backend.
Read first: options.py.
"""
