"""The commands of `emo`: each parses its options, calls one function, prints.

No other folder imports this one; libraries are imported inside each command.

May import: everything.
Read first: extract.py.
"""
