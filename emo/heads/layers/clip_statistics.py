"""Statistics of each clip: mean and standard deviation of the tokens of every stream.

They are the columns that a linear head reads, computed once before training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from emo.heads.data.scaling import column_scale
from emo.heads.head import Batch
from emo.heads.layers.segments import segment_mean, segment_std
from emo.ragged import Ragged

FUSED, COUNTS, SQUARES = "fused", "counts", "squares"
"""Names of the streams that :meth:`ClipStatistics.pool` makes: statistics of all streams, the
number of tokens in each, and the mean squares of their dimensions, which ``std`` makes unnecessary.
"""


@dataclass(frozen=True)
class ClipStatistics:
    """Computes the columns of clips: a block of means and, with ``std``, one of deviations for
    each stream.
    """

    streams: Sequence[str]
    """Names of the streams, in order."""
    dims: Sequence[int]
    """Width D of each stream's tokens."""
    std: bool
    """Whether standard deviations are computed, too; False: means alone."""

    @property
    def blocks(self) -> list[int]:
        """Number of columns of each block."""
        return [dim for dim in self.dims for _ in range(1 + self.std)]

    def pool(self, batch: Batch) -> Batch:
        """Compute the means and standard deviations of all streams, and numbers of tokens.

        The returned batch has the streams ``FUSED``, (N, sum of blocks), ``COUNTS``, (N, streams),
        and without ``std`` also ``SQUARES``, (N, sum of blocks), each with one token for each clip.
        """
        if FUSED in batch.streams:
            return batch
        columns, squares = [], []
        for tokens in (batch.streams[name] for name in self.streams):
            columns.append(segment_mean(tokens.values, tokens.offsets))
            if self.std:
                columns.append(segment_std(tokens.values, tokens.offsets))
            else:
                squares.append(segment_mean(tokens.values.square(), tokens.offsets))
        fused = torch.cat(columns, dim=1)  # (N, sum of blocks)
        counts = torch.stack([batch.streams[name].lengths for name in self.streams], dim=1)
        made = {FUSED: fused, COUNTS: counts.to(fused.dtype)}
        if squares:
            made[SQUARES] = torch.cat(squares, dim=1)
        offsets = torch.arange(len(fused) + 1)
        streams = {name: Ragged(values, offsets) for name, values in made.items()}
        return replace(batch, streams=streams)

    def rows(self, pooled: Batch, typical: Tensor) -> Tensor:
        """Return the columns of all streams, float32 (N, sum of blocks).

        Args:
            pooled: N clips after :meth:`pool`.
            typical: float32 (sum of blocks,), what is added where a clip has at most one token of
                a stream, and so no standard deviation; 0 in the columns of means.
        """
        rows: Tensor = pooled.streams[FUSED].values
        lacks_spread = pooled.streams[COUNTS].values <= 1
        if not (lacks_spread.any() and typical.any()):
            return rows
        factors = lacks_spread.to(rows.dtype)[:, self._stream_of_columns()]
        return torch.addcmul(rows, factors, typical)

    @torch.no_grad()
    def typical_spreads(self, pooled: Batch) -> Tensor:
        """Return the mean standard deviations of each stream over clips of at least two tokens.

        Returns:
            float32 (sum of blocks,); 0 in the columns of means.
        """
        rows, counts = (pooled.streams[name].values for name in (FUSED, COUNTS))
        typical: Tensor = rows.new_zeros(rows.shape[1])
        start = 0
        for index, dim in enumerate(self.dims if self.std else ()):
            has_spread = (counts[:, index] > 1).to(rows.dtype)
            spreads = slice(start + dim, start := start + 2 * dim)
            typical[spreads] = has_spread @ rows[:, spreads] / has_spread.sum().clamp(min=1)
        return typical

    def factors(self, pooled: Batch, typical: Tensor) -> Tensor:
        """Return factors that give each block a total variance of 1, float32 (sum of blocks,).

        Args:
            pooled: training clips after :meth:`pool`.
            typical: see :meth:`rows`.
        """
        return column_scale(self.rows(pooled, typical), self.blocks, self._token_rms(pooled))

    def _token_rms(self, pooled: Batch) -> Tensor:
        """Return the root mean square of the tokens of each column's dimension, over all clips.

        Returns:
            float32 (sum of blocks,).
        """
        fused, counts = (pooled.streams[name].values for name in (FUSED, COUNTS))
        shares = counts / counts.sum(0).clamp(min=1)  # (N, streams)
        if not self.std:
            squares = torch.split(pooled.streams[SQUARES].values, list(self.dims), dim=1)
            return torch.cat([shares[:, k] @ one for k, one in enumerate(squares)]).sqrt()
        found = []
        for index, both in enumerate(torch.split(fused, [2 * dim for dim in self.dims], dim=1)):
            means, spreads = (shares[:, index] @ both.square()).chunk(2)
            found += [(means + spreads).sqrt()] * 2
        return torch.cat(found)

    def _stream_of_columns(self) -> Tensor:
        """Return the index of each column's stream, int64 (sum of blocks,)."""
        blocks = torch.arange(len(self.blocks)) // (1 + self.std)
        return blocks.repeat_interleave(torch.tensor(self.blocks))
