"""A job on disk: request, plan, parts, journals, logs, status, and Slurm's queue.

No model library is imported here, so that it works on a login node.

May import: errors, extract.backbone, extract.decode, extract.models, machine,
    machine.untrusted, manifest, plugins, store.backend, store.part, store.recipe, store.store.
Read first: folder.py.
"""
