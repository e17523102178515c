"""What the commands do: fit, seeds, search, cross-validate, ablate, warm start.

May import: errors, heads.data, heads.head, heads.metrics, heads.options, heads.presets,
    heads.runs, heads.training, manifest, plugins, ragged, store.backend, store.recipe.
Read first: fit.py.
"""
