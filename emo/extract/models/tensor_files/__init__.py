"""Read files of tensors that others wrote: their format, their table of tensors, one tensor or all.

May import: errors, machine, machine.untrusted.
Read first: checkpoint.py.
"""
