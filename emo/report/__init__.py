"""Results of runs for other programs: trackers of experiments.

May import: errors, heads.runs, machine, plugins, untrusted.
Read first: trackers/log.py.
"""
