"""Run LSTMs over Ragged tokens or over the turns of dialogues, each sequence from zero states."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.layers.lstm_rows import RowLayout
from emo.ragged import Ragged, offsets_of

CLOSED = -1e4
"""What the gates of an empty position read: their sigmoid and its derivative are 0."""
_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def run_lstm(lstm: nn.LSTM, tokens: Ragged) -> Ragged:
    """Run an LSTM over the tokens of each clip: Ragged (ΣT, D) -> Ragged (ΣT, H · directions).

    Clips lie end to end in rows (see ``lstm_rows.py``), and torch's fused layer runs over all rows
    side by side. At the empty position between two clips the gates are closed, so that output and
    cell become zero as before a first token. For the backward direction the tokens of each clip are
    reversed. This is three to five times faster than a ``PackedSequence``, for which torch does not
    call its fused layer.

    Args:
        lstm: an LSTM of one layer; its weights are used, not its ``forward``.
        tokens: N clips, torch float32 (ΣT, D).
    """
    suffixes = ("", "_reverse") if lstm.bidirectional else ("",)
    values, offsets = tokens.values, tokens.offsets
    if len(values) == 0:
        return Ragged(values.new_zeros(0, lstm.hidden_size * len(suffixes)), offsets)
    rows = RowLayout.of(offsets.numpy(), lstm.hidden_size)
    found = []
    for suffix in suffixes:
        weights = [getattr(lstm, name + suffix) for name in _NAMES]
        found.append(_run(weights, values, rows, is_reversed=bool(suffix)))
    return Ragged(torch.cat(found, dim=1) if len(found) > 1 else found[0], offsets)


def run_over_turns(lstm: nn.LSTM, clips: Tensor, turns: Tensor) -> Tensor:
    """Run an LSTM over the turns of each dialogue.

    Args:
        lstm: an LSTM of one layer; its weights are used, not its ``forward``.
        clips: float32 (N, D), features of the clips.
        turns: int64 (G, U), rows of each dialogue's turns, -1 past its end; each row occurs once.

    Returns:
        float32 (N, H · directions).
    """
    is_turn = (turns >= 0).numpy()
    order = turns.numpy()[is_turn]
    offsets = torch.from_numpy(offsets_of(is_turn.sum(1)))
    if (order[1:] > order[:-1]).all():  # turn after turn already, as in training
        found: Tensor = run_lstm(lstm, Ragged(clips, offsets)).values
        return found
    there, back = torch.from_numpy(order), torch.from_numpy(np.argsort(order))
    found = run_lstm(lstm, Ragged(clips.index_select(0, there), offsets)).values
    return found.index_select(0, back)


def _run(weights: list[Tensor], values: Tensor, rows: RowLayout, *, is_reversed: bool) -> Tensor:
    """Run one direction: (ΣT, D) -> (ΣT, H).

    Args:
        weights: the direction's weights in the order of ``_NAMES``.
        values: float32 (ΣT, D) tokens.
        rows: where the tokens lie.
        is_reversed: whether each clip is read from its last token to its first.
    """
    input_weights, state_weights, *biases = weights
    positions = rows.reversed_positions if is_reversed else rows.positions
    width = values.shape[1]
    if rows.are_shared:
        laid = values.new_zeros(rows.count, width + 1)
        laid[:, width] = 1  # where a position stays empty; else 0
        laid.index_copy_(0, positions, functional.pad(values, (0, 1)))
        closed = input_weights.new_full((4, state_weights.shape[1]), CLOSED)
        closed[2] = 0  # gates: input, forget, cell, output
        input_weights = torch.cat([input_weights, closed.view(-1, 1)], dim=1)
    else:
        laid = values.new_zeros(rows.count, width).index_copy_(0, positions, values)
    outputs = []
    for part in torch.split(laid, rows.sizes) if len(rows.sizes) > 1 else [laid]:
        read = part.view(rows.steps, -1, part.shape[1])
        state = values.new_zeros(1, read.shape[1], state_weights.shape[1])
        found = torch.lstm(
            read, (state, state), [input_weights, state_weights, *biases],
            True, 1, 0.0, True, False, False,
        )[0]  # has biases, layers, dropout, training, bidirectional, batch first  # fmt: skip
        outputs.append(found.flatten(0, 1))
    return (torch.cat(outputs) if len(outputs) > 1 else outputs[0]).index_select(0, positions)
