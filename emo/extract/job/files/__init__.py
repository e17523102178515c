"""Where the files of a job folder lie: on a disk, or as objects in a bucket.

May import: errors, machine, machine.untrusted, store.backend.
Read first: job_files.py.
"""
