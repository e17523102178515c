"""The run folder: results of a fit, writing and loading them, plots, and comparing runs.

May import: errors, heads.data, heads.head, heads.metrics, heads.options, heads.presets,
    heads.training, machine, machine.untrusted, manifest, plugins, ragged, store.adapted,
    store.backend, store.recipe, store.store.
Read first: run.py.
"""
