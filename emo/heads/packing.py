"""Runs recurrent layers over Ragged tokens, from ragged to packed and back with no padding."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from emo.heads.layers import segment_ids
from emo.ragged import Ragged


def run_packed(lstm: nn.LSTM, tokens: Ragged) -> Ragged:
    """Every clip from zero states, by itself: (ΣT, D) -> (ΣT, outputs), in the order given."""
    if len(tokens.values) == 0:
        outputs = lstm.hidden_size * (2 if lstm.bidirectional else 1)
        return Ragged(tokens.values.new_zeros(0, outputs), tokens.offsets)
    order, batch_sizes = _packed_order(tokens.offsets)
    packed = PackedSequence(tokens.values[order], batch_sizes)
    outputs = lstm(packed)[0].data
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return Ragged(outputs[inverse], tokens.offsets)


def run_over_turns(lstm: nn.LSTM, clips: Tensor, turns: Tensor) -> Tensor:
    """Every dialogue by itself, turn after turn: (N, D), (G, U) rows -> (N, outputs)."""
    is_turn = turns >= 0
    rows = turns[is_turn]
    offsets = torch.zeros(len(turns) + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(is_turn.sum(1), 0, out=offsets[1:])
    outputs: Tensor = run_packed(lstm, Ragged(clips[rows], offsets)).values
    inverse = torch.empty_like(rows)
    inverse[rows] = torch.arange(len(rows), device=rows.device)
    return outputs[inverse]


def _packed_order(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Rows by turn within their clip, longest clip first: (ΣT,); and clips still going: (max T,).

    ``PackedSequence`` lays out token 0 of all clips, then token 1 of those that have one …
    """
    lengths = offsets[1:] - offsets[:-1]
    rank = torch.empty_like(lengths)
    rank[lengths.argsort(descending=True, stable=True)] = torch.arange(
        len(lengths), device=lengths.device
    )
    clips = segment_ids(offsets)
    place = torch.arange(len(clips), device=clips.device) - offsets[clips]
    order = (place * len(lengths) + rank[clips]).argsort()
    return order, place.bincount().cpu()
