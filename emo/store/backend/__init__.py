"""Files of a store in a local folder or a bucket: names, whole-file commits, range reads, cache.

Promises: nothing here knows what the files hold.

May import: errors, machine.untrusted, store.recipe.
Read first: location.py.
"""
