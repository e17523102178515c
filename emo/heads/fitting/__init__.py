"""The fits that commands start: one run, its seeds, search, cross-validation, ablation.

May import: errors, heads.data, heads.head, heads.metrics, heads.options, heads.presets,
    heads.runs, heads.training, machine, machine.untrusted, manifest, plugins, ragged,
    store.adapted, store.backend, store.recipe.
Read first: fit.py.
"""
