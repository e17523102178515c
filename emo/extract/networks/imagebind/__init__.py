"""The audio branch of ImageBind, which Video-LLaMA hears with.

Read first: network.py.
"""
