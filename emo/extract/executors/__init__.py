"""Plugins: one executor a file. `_pool.py` and `_process.py` are the supervisor they share.

May import: errors, extract.executor, extract.job, extract.models, extract.worker,
    store.backend.
Read first: local.py.
"""
