"""What is to be done, on disk: request, plan, parts, journal, logs, status, Slurm's queue.

Imports no model library, so that it runs on a login node.

May import: errors, extract.backbone, extract.decode, manifest, plugins, store.backend,
    store.recipe, store.store, table.
Read first: folder.py.
"""
