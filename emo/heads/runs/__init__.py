"""The run folder and all that is read from it: write, load, results, plots, compare.

May import: errors, heads.data, heads.head, heads.metrics, heads.options, heads.presets,
    heads.training, manifest, plugins, ragged, store.backend, store.recipe, store.store, table.
Read first: run.py.
"""
