"""Video-LLaMA: video and audio branches, checkpoints and options.

Read first: network.py.
"""
