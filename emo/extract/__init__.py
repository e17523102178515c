"""Stage 1: decode clips, run frozen backbones, write their tokens into a store.

The three contracts: `media.py` (what a decoder gives), `backbone.py`, `executor.py`.

May import: nothing of emo.
Read first: run.py.
"""
