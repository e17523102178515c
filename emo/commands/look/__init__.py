"""Commands that show results: `emo show`, `emo log`, `emo report`, `emo plot` and `emo view`.

May import: what commands may.
Read first: report.py.
"""
