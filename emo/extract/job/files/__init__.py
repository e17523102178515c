"""Where the files of a job folder lie: on a disk, or as objects in a bucket.

May import: errors, machine, store.backend, untrusted.
Read first: job_files.py.
"""
