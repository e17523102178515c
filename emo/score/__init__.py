"""Official scores of anybody's predictions; numpy alone, so that it starts at once.

May import: errors, heads.metrics, heads.runs, manifest, plugins, table.
Read first: score.py.
"""
