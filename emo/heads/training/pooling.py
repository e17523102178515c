"""Let a head pool its clips before training, tokens that rows share once."""

from dataclasses import replace

import numpy as np
import torch

from emo.heads.head import Batch, Head
from emo.ragged import Ragged

POOLED_ROWS = 4096
"""Rows with tokens of their own that are pooled at a time, where a head needs all rows at once."""


@torch.no_grad()
def pool_batch(head: Head, batch: Batch) -> Batch:
    """Return the batch after :meth:`Head.pool`, which sees no tokens with an index.

    Shared tokens are pooled once where the head pools each stream by itself. A head that joins its
    streams, or that is solved, needs a row for each clip: its rows are pooled some at a time, and
    what it makes of them is kept for each row. Other heads pool in their ``forward``.

    Args:
        head: the head.
        batch: all clips of a split.
    """
    shared = [name for name, tokens in batch.streams.items() if tokens.index is not None]
    if not shared:
        return head.pool(batch)
    if head.pools_apart:
        return _pooled_apart(head, batch, shared)
    if head.joins_streams or head.is_solved or type(head).path is not Head.path:
        return _pooled_rows(head, batch)
    return batch


def _pooled_apart(head: Head, batch: Batch, shared: list[str]) -> Batch:
    """Pool the streams that rows share, each over its distinct clips, and then the other streams.

    The streams that are not pooled in a call are absent in all of its clips.
    """
    own = {
        name: _absent(tokens, len(batch)) if name in shared else tokens
        for name, tokens in batch.streams.items()
    }
    pooled = head.pool(replace(batch, streams=own))
    streams = dict(pooled.streams)
    for name in shared:
        tokens = batch.streams[name]
        count = len(tokens.distinct)
        alone = {
            other: tokens.distinct if other == name else _absent(each, count)
            for other, each in batch.streams.items()
        }
        found = head.pool(Batch(alone)).streams[name]
        streams[name] = tokens.with_values(found.values, found.offsets)
    return replace(pooled, streams=streams)


def _absent(tokens: Ragged, count: int) -> Ragged:
    """Return ``count`` clips that lack the stream."""
    return Ragged(tokens.values[:0], tokens.offsets.new_zeros(count + 1))


def _pooled_rows(head: Head, batch: Batch) -> Batch:
    """Pool the rows some at a time, each with tokens of its own, and join what was made of them."""
    parts = [
        head.pool(batch.select(np.arange(start, min(start + POOLED_ROWS, len(batch))))).streams
        for start in range(0, len(batch), POOLED_ROWS)
    ]
    joined = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    return replace(batch, streams=joined)


def _joined(parts: list[Ragged]) -> Ragged:
    """Lay the tokens of several parts end to end."""
    lengths = torch.cat([part.lengths for part in parts])
    offsets = lengths.new_zeros(len(lengths) + 1)
    torch.cumsum(lengths, 0, out=offsets[1:])
    return Ragged(torch.cat([part.values for part in parts]), offsets)
