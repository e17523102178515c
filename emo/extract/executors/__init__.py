"""Plugins: each file is one executor; the supervisor that they share is in `_pool.py`.

May import: errors, extract.executor, extract.job, extract.models, extract.worker,
    machine, plugins, store.backend.
Read first: local.py.
"""
