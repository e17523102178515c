"""Run LSTMs over Ragged tokens or over the turns of dialogues, each sequence from zero states."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.layers.lstm_steps import Order, run_steps
from emo.heads.layers.segments import segment_ids
from emo.ragged import Ragged

_NAMES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def run_lstm(lstm: nn.LSTM, tokens: Ragged) -> Ragged:
    """Run an LSTM over the tokens of each clip: Ragged (ΣT, D) -> Ragged (ΣT, H · directions).

    Clips are padded at their end for torch's fused layer, and outputs of padding are left out. For
    the backward direction the tokens of each clip are reversed before padding, so that the layer
    reads the last token first and never padding. This is three times faster than a
    ``PackedSequence``, for which torch does not call its fused layer.

    Args:
        lstm: an LSTM of one layer; its weights are used, not its ``forward``.
        tokens: N clips, torch float32 (ΣT, D).
    """
    suffixes = _suffixes(lstm)
    if len(tokens.values) == 0:
        zeros = tokens.values.new_zeros(0, lstm.hidden_size * len(suffixes))
        return Ragged(zeros, tokens.offsets)
    offsets, lengths = tokens.offsets, tokens.lengths
    clips = segment_ids(offsets)
    position = torch.arange(len(clips), device=clips.device) - offsets[clips]
    shape = int(lengths.max()), len(tokens)
    found = []
    for suffix in suffixes:
        step = lengths[clips] - 1 - position if suffix else position
        weights = [getattr(lstm, name + suffix) for name in _NAMES]
        found.append(_run(weights, tokens.values, step * len(tokens) + clips, shape))
    return Ragged(torch.cat(found, dim=1), offsets)


def run_over_turns(lstm: nn.LSTM, clips: Tensor, turns: Tensor) -> Tensor:
    """Run an LSTM over the turns of each dialogue.

    Dialogues are few, differ much in length and have wide features, so their steps are computed
    without padding by ``lstm_steps.py``.

    Args:
        lstm: an LSTM of one layer; its weights are used, not its ``forward``.
        clips: float32 (N, D), features of the clips.
        turns: int64 (G, U), rows of each dialogue's turns, -1 past its end.

    Returns:
        float32 (N, H · directions).
    """
    suffixes = _suffixes(lstm)
    if len(clips) == 0:
        return clips.new_zeros(0, lstm.hidden_size * len(suffixes))
    input_weights, state_weights, input_biases, state_biases = (
        [getattr(lstm, name + suffix) for suffix in suffixes] for name in _NAMES
    )
    biases = torch.cat(input_biases) + torch.cat(state_biases)
    inputs = functional.linear(clips, torch.cat(input_weights), biases)
    return run_steps(inputs, state_weights, Order.of(turns.numpy(), len(suffixes)))


def _suffixes(lstm: nn.LSTM) -> tuple[str, ...]:
    """Return the suffix of the names of each direction's weights."""
    return ("", "_reverse") if lstm.bidirectional else ("",)


def _run(weights: list[Tensor], values: Tensor, index: Tensor, shape: tuple[int, int]) -> Tensor:
    """Run one direction over padded clips: (ΣT, D) -> (ΣT, H).

    Args:
        weights: the direction's weights in the order of ``_NAMES``.
        values: float32 (ΣT, D) tokens.
        index: int64 (ΣT,), position of each token in the padded array (steps · clips).
        shape: number of steps (the longest T) and of clips.
    """
    steps, clips = shape
    padded = values.new_zeros(steps * clips, values.shape[1]).index_copy(0, index, values)
    state = values.new_zeros(1, clips, weights[1].shape[1])
    outputs: Tensor = torch.lstm(
        padded.view(steps, clips, -1), (state, state), weights, True, 1, 0.0, True, False, False
    )[0]  # has biases, layers, dropout, training, bidirectional, batch first
    return outputs.flatten(0, 1)[index]
