"""Vectors from arrays, for the tests of search and retrieval."""

import numpy as np

from emo.predict.similarity.vectors import vectors_of
from emo.ragged import Ragged


def vectors(rows, **options):
    """One token a clip, or a list of (T, D); the ids are c0000, c0001 …"""
    tokens = Ragged.of([np.atleast_2d(each) for each in rows])
    return vectors_of(tokens, [f"c{k:04}" for k in range(len(rows))], **options)


def random_rows(count, dim=32, seed=0, dtype=np.float16):
    return np.random.default_rng(seed).standard_normal((count, dim)).astype(dtype)
