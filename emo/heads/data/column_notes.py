"""Notes on the dimensions of a stream: constant ones, and ones with a value out of all proportion.

A dimension is out of proportion where one value is more than ``OUT_OF_PROPORTION`` times as far
from the median as 90 % of the values are. A single broken number looks like that; the scaling of
the other dimensions does not depend on it, but its own dimension then tells little else.
"""

from collections.abc import Sequence

import numpy as np
import torch

from emo.heads.data.scaling import Scaling
from emo.heads.data.token_statistics import token_chunks
from emo.ragged import Ragged

OUT_OF_PROPORTION = 1e4
"""Distance from the median, as a multiple of the usual distance, from which a value is named."""
SAMPLED_TOKENS = 1_000
"""Number of tokens, evenly spaced, from which median and usual distance are computed."""
NAMED_DIMENSIONS = 5
"""Largest number of dimensions that a note names."""


def notes_on_constant_dimensions(stream: str, scaling: Scaling) -> list[str]:
    """Return a note on the dimensions that a fitted scaling drops, if there are any."""
    dropped, dims = int((scaling.scale == 0).sum()), len(scaling.scale)
    if not dropped:
        return []
    verb = "is" if dropped == 1 else "are"
    return [f"{stream}: {dropped:,} of {dims:,} dimensions {verb} constant on train: dropped"]


def notes_on_outlying_dimensions(stream: str, tokens: Ragged, ids: Sequence[str]) -> list[str]:
    """Return a note that names dimensions with a value out of all proportion, if there are any.

    Args:
        stream: name of the stream.
        tokens: stored tokens of N clips, numpy (ΣT, D) of any dtype.
        ids: ids of the N clips; where they share tokens, of the clips whose tokens they have.
    """
    if tokens.index is not None:
        numbers = dict(zip(tokens.index.tolist(), ids, strict=True))
        ids = [numbers.get(number, "") for number in range(len(tokens.distinct))]
        tokens = tokens.distinct
    values = tokens.values
    if len(values) < 2:
        return []
    rows = np.unique(np.linspace(0, len(values) - 1, SAMPLED_TOKENS).astype(np.int64))
    sample = values[rows].astype(np.float64)
    median = np.median(sample, axis=0)
    low, high = _extremes(values)
    farthest = np.maximum(high - median, median - low)
    outlying = np.flatnonzero(farthest > OUT_OF_PROPORTION * _usual_distance(sample, median))
    if not len(outlying):
        return []
    named = [_named(tokens, ids, int(each), median[each]) for each in outlying[:NAMED_DIMENSIONS]]
    more = len(outlying) - len(named)
    return [
        f"{stream}: in {len(outlying):,} of {len(median):,} dimensions a value is more than "
        f"{OUT_OF_PROPORTION:,.0f} times as far from the median as 90 % of the values; check "
        f"dimension {', '.join(named)}{f' and {more:,} more' if more else ''}"
    ]


def _usual_distance(sample: np.ndarray, median: np.ndarray) -> np.ndarray:
    """Return the distance from the median within which 90 % of the values are, float64 (D,).

    Where 90 % of the values are equal, it is the distance of 99 %; where these are equal too, the
    median itself, but at least 1.
    """
    distances = np.sort(np.abs(sample - median), axis=0)
    most, nearly_all = (distances[int(share * (len(distances) - 1))] for share in (0.9, 0.99))
    fallback = np.where(nearly_all > 0, nearly_all, np.maximum(np.abs(median), 1))
    distance: np.ndarray = np.where(most > 0, most, fallback)
    return distance


def _extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest value of each dimension, float64 (D,) each."""
    ends = [torch.aminmax(chunk, dim=0) for chunk in token_chunks(values)]
    low, high = torch.stack([each.min for each in ends]), torch.stack([each.max for each in ends])
    return low.amin(0).double().numpy(), high.amax(0).double().numpy()


def _named(tokens: Ragged, ids: Sequence[str], dimension: int, median: float) -> str:
    """Return a dimension's index, its farthest value and the clip of it, as text."""
    column = tokens.values[:, dimension].astype(np.float64)
    token = int(np.abs(column - median).argmax())
    clip = int(np.searchsorted(tokens.offsets, token, side="right")) - 1
    return f"{dimension} ({column[token]:.3g} in clip {ids[clip]})"
