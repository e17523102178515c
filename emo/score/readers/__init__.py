"""Read predictions and gold labels: tables and JSON of any tool, runs, matrices of scores.

May import: errors, heads.runs, machine.untrusted, manifest, plugins.
Read first: answers.py.
"""
