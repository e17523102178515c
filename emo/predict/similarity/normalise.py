"""Normalisations of a table of scores that look at other queries: dual softmax and query bank.

Sources: Cheng et al. 2021 (CAMoE, arXiv:2109.04290); Bogolin et al. 2022 (QB-Norm,
arXiv:2112.12777).
"""

import numpy as np

SCALE = 100.0
"""Factor of the scores before the softmax over queries."""
BETA = 20.0
"""Inverse temperature of the query bank."""


def dual_softmax(scores: np.ndarray) -> np.ndarray:
    """Return float64 (Q, M): scaled scores, weighted by their softmax over all queries.

    Each query's ranks then depend on the other queries of the table.

    Args:
        scores: float (Q, M), queries by items.
    """
    scaled = scores.astype(np.float64) * SCALE
    shares = np.exp(scaled - scaled.max(0, keepdims=True))
    shares /= shares.sum(0, keepdims=True)
    weighted: np.ndarray = scaled * shares * len(scaled)
    return weighted


def query_bank(scores: np.ndarray, bank: np.ndarray, *, nearest: int = 1) -> np.ndarray:
    """Return float64 (Q, M): scores of popular items, lowered by what other queries find there.

    Only queries whose best item is found by a text of the bank are changed; the rows of the others
    are the scores as they are, so that rows cannot be compared with each other.

    Args:
        scores: float (Q, M), queries by items.
        bank: float (B, M), texts of train by the same items.
        nearest: number of items that each text of the bank finds.
    """
    order = np.argsort(-bank, axis=1, kind="stable")[:, :nearest]
    found = np.unique(order)
    total = np.exp(bank.astype(np.float64) * BETA).sum(0)
    changed = np.isin(scores.argmax(1), found)
    normalised = scores.astype(np.float64)
    normalised[changed] = np.exp(normalised[changed] * BETA) / total
    return normalised
