"""Turn stores and a manifest into batches in memory: streams, targets, splits, folds, scaling.

May import: errors, heads.head, heads.labels, heads.metrics, heads.options, manifest, plugins,
    ragged, store.adapted, store.backend, store.recipe, store.store.
Read first: data.py.
"""
