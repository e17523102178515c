"""Score predictions of any tool by official metrics; imports numpy alone, so it starts fast.

May import: errors, heads.labels, heads.metrics, heads.runs, machine, machine.untrusted, manifest,
    plugins.
Read first: score.py.
"""
