"""Train one head on one split: loop, gradient steps, loss, augmentation, checkpoints, logits.

Writes no file except checkpoints.

May import: errors, heads.data, heads.head, heads.inner_folds, heads.labels, heads.layers,
    heads.metrics, heads.options, machine, ragged, store.backend, untrusted.
Read first: loop.py.
"""
