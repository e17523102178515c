"""Temperature scaling: one number that makes the probabilities of a classifier calibrated."""

import math

from torch import Tensor
from torch.nn import functional

WIDEST = 4.0
"""Largest absolute logarithm of a temperature."""
STEPS = 40
"""Number of golden-section steps; each shortens the interval to 0.62 of its length."""


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature T at which ``softmax(logits / T)`` fits the labels best.

    It minimises the summed cross-entropy plus ``log(T)² / 2``, a normal prior, without which a few
    clips that are all predicted correctly would make the probabilities 0 and 1. Dividing by T
    changes no prediction. Source: Guo et al. 2017 (arXiv:1706.04599), section 4.2.

    Args:
        logits: float32 (N, C), of clips that the classifier was not trained on.
        labels: int64 (N,), all known.
    """
    wide = logits.double()

    def loss(log_temperature: float) -> float:
        scaled = wide / math.exp(log_temperature)
        fit = functional.cross_entropy(scaled, labels, reduction="sum").item()
        return fit + log_temperature**2 / 2

    ratio = (math.sqrt(5) - 1) / 2
    low, high = -WIDEST, WIDEST
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return math.exp((low + high) / 2)
