"""Mean and standard deviation of the tokens of a stream, computed in chunks of float32."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

ROWS = 2048
"""Number of tokens computed at a time, few enough for the processor's cache."""
LEAST_DEVIATION = 1e-5
"""Standard deviation of a dimension, as a share of its mean, up to which it is constant: it differs
only by rounding, which scaling would make noise."""
SMALLEST_DEVIATION = 1e-36
"""Standard deviation up to which a dimension is constant, because its factor would exceed float32.
"""


def finite_statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each dimension, float64 (D,) each.

    They are computed in float32 where its range is enough, else in float64.

    Args:
        values: (ΣT, D) of any dtype.
    """
    mean, deviation = _statistics(values)
    if not np.isfinite(deviation).all():  # a square above 3e38 overflows float32
        mean, deviation = _statistics(values, torch.float64)
    return mean, deviation


def _statistics(
    values: np.ndarray, within: torch.dtype = torch.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each dimension, float64 (D,) each.

    Each chunk is computed in ``within`` around its own mean; chunks are combined in float64.
    Source: Chan, Golub and LeVeque 1983, equation 2.1.

    Args:
        values: (ΣT, D) of any dtype.
        within: dtype of the computation within a chunk.
    """
    count, mean = 0, torch.zeros(values.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(mean)
    for chunk in token_chunks(values):
        chunk = chunk.to(within)
        own = chunk.mean(0)
        rest = chunk - own
        apart = own.double() + rest.mean(0).double() - mean
        both = count + len(chunk)
        squares += rest.square_().sum(0).double() + apart.square() * (count * len(chunk) / both)
        mean += apart * (len(chunk) / both)
        count = both
    return mean.numpy(), (squares / max(count, 1)).sqrt().numpy()


def token_chunks(values: np.ndarray) -> Iterator[Tensor]:
    """Yield float32 (at most ROWS, D) chunks of values (ΣT, D) of any dtype.

    torch converts float16 ten times faster than numpy does.
    """
    for start in range(0, len(values), ROWS):
        chunk = values[start : start + ROWS]
        # torch warns about read-only arrays, such as those of a memory-mapped store
        yield torch.from_numpy(chunk if chunk.flags.writeable else chunk.copy()).float()
