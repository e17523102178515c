"""Compare stored tokens by cosine: search, zero-shot classes, retrieval and duplicates.

Promises: every answer is exact; scores have the same bits for one query and for many, for any
number of threads and any size of the blocks; equal scores are in the order of the ids.

Read first: vectors.py.
"""
