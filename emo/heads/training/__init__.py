"""One head on one split: loop, steps, loss, augmentation, checkpoints, logits.

Writes nothing but checkpoints.

May import: errors, heads.data, heads.head, heads.labels, heads.layers, heads.metrics,
    heads.options, ragged, store.backend.
Read first: loop.py.
"""
