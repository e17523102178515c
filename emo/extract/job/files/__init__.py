"""Files of a job folder: what stands in them, and where they lie (a disk, or a bucket's objects).

May import: errors, extract.decode, machine.untrusted, manifest, store.backend, store.recipe.
Read first: job_files.py.
"""
