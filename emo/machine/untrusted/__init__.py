"""Read what somebody else may have made: documents of known types, regular files, bounded sizes.

Promises: every refusal is one line; nothing that a document names is imported or called. It knows
no store, run or job: the rooms that read such files describe them and say what to do.

May import: errors.
Read first: documents.py.
"""
