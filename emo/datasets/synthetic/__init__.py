"""The demo's synthetic data set: a warped photograph, synthetic speech and template sentences.

May import: errors, machine, machine.untrusted.
Read first: dataset.py.
"""
