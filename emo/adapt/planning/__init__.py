"""What an adaptation will take: parameters, steps, disk and memory, from configurations alone.

May import: everything.
Read first: dry_run.py.
"""
