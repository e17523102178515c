"""Train one head on one split: loop, gradient steps, loss, augmentation, checkpoints, logits.

Writes no file except checkpoints.

May import: errors, heads.data, heads.head, heads.inner_folds, heads.labels, heads.layers,
    heads.metrics, heads.options, machine, machine.untrusted, ragged, store.backend.
Read first: loop.py.
"""
