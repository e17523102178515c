"""Stores and a manifest in, a `Batch` in RAM out: streams, targets, splits, folds, scaling.

Trains nothing.

May import: errors, heads.head, heads.labels, heads.metrics, heads.options, manifest, plugins,
    ragged, store.backend, store.recipe, store.store.
Read first: data.py.
"""
