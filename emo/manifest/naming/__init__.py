"""What the names of files and folders say about clips: split, label and speaker; transcripts.

Read first: named_folder.py.
"""
