"""Interchange formats, one file each, found by file name."""
