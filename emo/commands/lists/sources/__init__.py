"""Facts about plugins, read from their source files without importing them, for help and lists.

May import: plugins.
Read first: plugin_source.py.
"""
