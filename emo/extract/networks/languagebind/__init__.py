"""LanguageBind: towers, checkpoints, inputs and options.

Read first: network.py.
"""
