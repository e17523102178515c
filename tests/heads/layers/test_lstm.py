"""LSTMs over clips that share rows, against torch's LSTM, in values and gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import rnn

from emo.heads.layers import lstm_rows
from emo.heads.layers.lstm import run_lstm, run_over_turns
from emo.ragged import Ragged, offsets_of

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=40)


def make_turns(lengths: list[int]) -> torch.Tensor:
    """Make int64 (G, U) rows of dialogues, in random order."""
    rows = torch.from_numpy(np.random.default_rng(0).permutation(sum(lengths)))
    turns = torch.full((len(lengths), max(lengths)), -1)
    turns[torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]] = rows
    return turns


def packed(lstm: nn.LSTM, clips: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Run torch's LSTM on a PackedSequence of the dialogues."""
    dialogues = [dialogue[dialogue >= 0] for dialogue in turns if (dialogue >= 0).any()]
    sequence = rnn.pack_sequence([clips[rows] for rows in dialogues], enforce_sorted=False)
    found = rnn.unpack_sequence(lstm(sequence)[0])
    rows = torch.cat(dialogues)
    return torch.zeros(len(clips), found[0].shape[1]).index_copy(0, rows, torch.cat(found))


@pytest.mark.parametrize("bidirectional", [False, True])
@given(LENGTHS)
@settings(deadline=None, max_examples=25)
def test_dialogues_of_any_lengths_are_those_of_a_packed_sequence(bidirectional, lengths):
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 8, bidirectional=bidirectional)
    turns = make_turns(lengths)
    clips = torch.randn(sum(lengths), 5, requires_grad=True)
    ours = run_over_turns(lstm, clips, turns)
    assert ours.shape == (sum(lengths), 8 * (1 + bidirectional))
    if not sum(lengths):
        return
    theirs = packed(lstm, clips, turns)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    leaves = [clips, *lstm.parameters()]
    gradients = [torch.autograd.grad(found.sin().sum(), leaves) for found in (ours, theirs)]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", [[30, 1, 2, 0, 7, 29, 3] * 6, [9, 9, 8], [1] * 5, [0, 1]])
@pytest.mark.parametrize("fewest", [2, 8])
def test_clips_of_any_lengths_are_those_of_torch_alone(lengths, fewest, monkeypatch):
    """Rows shared or not, in one group or in several."""
    monkeypatch.setattr(lstm_rows, "POSITIONS_AT_ONCE", 30 * fewest)
    monkeypatch.setattr(lstm_rows, "FEWEST_ROWS", fewest)
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 4, bidirectional=True)
    values = torch.randn(sum(lengths), 5, requires_grad=True)
    found = run_lstm(lstm, Ragged(values, torch.from_numpy(offsets_of(np.array(lengths))))).values
    alone = torch.cat([lstm(clip)[0] for clip in values.split(lengths) if len(clip)])
    slope, leaves = torch.randn(found.shape), [values, *lstm.parameters()]
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-6)
    for ours, theirs in zip(
        torch.autograd.grad((found * slope).sum(), leaves),
        torch.autograd.grad((alone * slope).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_short_clips_share_rows_without_touching_each_other():
    lengths = np.random.default_rng(0).integers(0, 60, 200)
    rows = lstm_rows.RowLayout.of(offsets_of(lengths), 4)
    assert rows.are_shared
    assert rows.count < 0.7 * lengths.max() * np.count_nonzero(lengths)
    for positions in (rows.positions.numpy(), rows.reversed_positions.numpy()):
        assert len(set(positions.tolist())) == lengths.sum()
    assert sum(rows.sizes) == rows.count
    assert len(rows.sizes) > 1


def test_large_gates_saturate_as_torchs():
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 3, bidirectional=True)
    clips, turns = torch.randn(9, 4) * 300, make_turns([6, 3])
    torch.testing.assert_close(
        run_over_turns(lstm, clips, turns), packed(lstm, clips, turns), rtol=0, atol=1e-6
    )


def test_a_backward_pass_twice_gives_the_same_bits():
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 3, bidirectional=True)
    found = run_over_turns(lstm, torch.randn(9, 4), make_turns([6, 3])).sum()
    first = torch.autograd.grad(found, list(lstm.parameters()), retain_graph=True)
    second = torch.autograd.grad(found, list(lstm.parameters()))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


def test_under_autocast_values_and_gradients_are_close():
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 3, bidirectional=True)
    clips, turns = torch.randn(9, 4, requires_grad=True), make_turns([6, 3])
    expected = run_over_turns(lstm, clips, turns)
    with torch.autocast("cpu", torch.bfloat16):
        found = run_over_turns(lstm, clips, turns)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.02)
    leaves = [clips, *lstm.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(found.float().sum(), leaves),
        torch.autograd.grad(expected.sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.05)
