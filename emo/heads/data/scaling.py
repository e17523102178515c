"""Scaling of streams: fitted on the training split, kept in the run, applied to every clip.

``dense`` streams are centred and divided per dimension, ``sparse`` ones (hashed counts) only
divided by one number (per dimension cost .05 F1 on MELD text), ``image`` ones divided by 255.
Dense and sparse streams end with the same total variance, so that none drowns another in a fusion.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emo.ragged import Ragged

TOTAL_VARIANCE = 256.0
"""Sum over dimensions of the variance of a scaled token: as of 256 standardised dimensions."""
ROWS = 2048
"""Tokens at a time, few enough to stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """``(token - centre) * scale`` of one stream."""

    centre: Tensor
    """(D,) float32."""
    scale: Tensor
    """(D,) float32, finite."""
    is_unit: bool = False
    """Each token is brought to length 1 before."""

    def apply(self, tokens: Ragged) -> Ragged:
        """Tokens as stored (numpy, any dtype) -> torch float32, scaled."""
        # of numpy, whose large arrays lie in large pages; torch's take ten times longer to touch
        values = torch.from_numpy(np.empty(tokens.values.shape, np.float32))
        for chunk, scaled in zip(_chunks(tokens.values), torch.split(values, ROWS), strict=False):
            if self.is_unit:
                chunk = chunk / chunk.norm(dim=1, keepdim=True).clamp(min=1e-12)
            torch.sub(chunk, self.centre, out=scaled).mul_(self.scale)
        return Ragged(values, torch.from_numpy(np.array(tokens.offsets, dtype=np.int64)))


def fit_scaling(tokens: Ragged, kind: str) -> Scaling:
    """The scaling of one stream from the tokens of the training split.

    Args:
        tokens: numpy, as stored.
        kind: ``dense``, ``sparse`` or ``image``, see :class:`emo.store.recipe.StreamSpec`.
    """
    mean, deviation = _statistics(tokens.values)
    if not np.isfinite(deviation).all():  # squares above 3e38
        mean, deviation = _statistics(tokens.values, torch.float64)
    centre, scale = np.zeros_like(mean), np.ones_like(mean)
    if kind == "image":
        scale /= 255
    elif kind == "sparse":
        scale *= np.sqrt(TOTAL_VARIANCE / (np.square(deviation).sum() or TOTAL_VARIANCE))
    else:
        # a constant dimension has no spread but rounding; blown up it would be noise
        typical = np.sqrt(np.square(deviation).mean())
        varies = deviation > 1e-5 * np.maximum(np.abs(mean), typical)
        centre = mean
        scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0.0)
        scale *= np.sqrt(TOTAL_VARIANCE / max(varies.sum(), 1))
    return Scaling(torch.from_numpy(centre).float(), torch.from_numpy(scale).float())


def asked_scaling(words: str, width: int, logit_scale: float | None) -> Scaling:
    """A scaling that is asked for instead of fitted.

    Args:
        words: ``raw``, ``unit`` (tokens of length 1), ``unit*100``, or ``unit*logit_scale``.
        width: D of the stream.
        logit_scale: of the recipe, if it tells it; the factor is its exponential.

    Raises:
        ValueError: something else, or the recipe does not tell.
    """
    how, _, factor = words.partition("*")
    if how not in ("raw", "unit"):
        raise ValueError(f"expected raw, unit or unit*FACTOR, got {words!r}")
    if factor == "logit_scale":
        if logit_scale is None:
            raise ValueError("its recipe has no logit_scale; give a number: unit*100")
        factor = str(math.exp(logit_scale))
    scale = torch.full((width,), float(factor or 1))
    if not bool(scale.isfinite().all()):
        raise ValueError(f"expected a finite factor, got {words!r}")
    return Scaling(torch.zeros(width), scale, is_unit=how == "unit")


def scaling_tensors(scalings: Mapping[str, Scaling]) -> dict[str, Tensor]:
    """As they are kept in ``head.safetensors``: ``scaling/<stream>/centre`` and ``…/scale``."""
    return {
        f"scaling/{stream}/{name}": tensor
        for stream, scaling in scalings.items()
        for name, tensor in (
            ("centre", scaling.centre),
            ("scale", scaling.scale),
            ("is_unit", torch.tensor(scaling.is_unit)),
        )
        if name != "is_unit" or scaling.is_unit
    }


def _statistics(
    values: np.ndarray, within: torch.dtype = torch.float32
) -> tuple[np.ndarray, np.ndarray]:
    """(ΣT, D) of any dtype -> mean and standard deviation (D,), float64.

    Each chunk around its own mean in ``within``, and chunks together in float64. Source: Chan,
    Golub and LeVeque 1983, equation 2.1.
    """
    count, mean = 0, torch.zeros(values.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(mean)
    for chunk in _chunks(values):
        chunk = chunk.to(within)
        own = chunk.mean(0)
        rest = chunk - own
        apart = own.double() + rest.mean(0).double() - mean
        both = count + len(chunk)
        squares += rest.square_().sum(0).double() + apart.square() * (count * len(chunk) / both)
        mean += apart * (len(chunk) / both)
        count = both
    return mean.numpy(), (squares / max(count, 1)).sqrt().numpy()


def _chunks(values: np.ndarray) -> Iterator[Tensor]:
    """(at most ROWS, D) float32; torch turns float16 into it ten times faster than numpy does."""
    for start in range(0, len(values), ROWS):
        chunk = values[start : start + ROWS]
        # torch warns about read-only memory, which mapped stores are
        yield torch.from_numpy(chunk if chunk.flags.writeable else chunk.copy()).float()


MOSTLY_ZERO = 0.2
"""Share of non-zeros below which columns are counts of rare things, not measurements."""


def column_scale(rows: Tensor, blocks: list[int]) -> Tensor:
    """(D,) factors that bring each block of columns to total variance 1; constant columns to 0.

    Columns are scaled one by one, which costs .05 F1 on hashed words and gains .04 UAR on pooled
    log-mel; so blocks that are mostly zeros are scaled together.
    """
    return torch.cat([_scale_of(part) for part in torch.split(rows, blocks, dim=1)])


def _scale_of(block: Tensor) -> Tensor:
    nonzero = int(block.count_nonzero())
    if nonzero == 0:
        return block.new_zeros(block.shape[1])
    deviation = (block - block.mean(0)).square_().mean(0).sqrt()
    typical = deviation.square().mean().sqrt()
    varies = deviation > 1e-4 * typical
    if nonzero < MOSTLY_ZERO * block.numel():
        deviation = typical.expand_as(deviation)
    return torch.where(varies, 1 / (deviation * varies.sum().sqrt()), 0.0)
