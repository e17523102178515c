"""ImageBind's audio tower, which is part of Video-LLaMA.

Read first: network.py.
"""
