"""Stage 1: decode clips, run frozen backbones, write their tokens into a store.

Three files hold the contracts: `media.py` (what the decoder delivers), `backbone.py` (a model) and
`executor.py` (where a job runs).

May import: nothing of emo.
Read first: run.py.
"""
