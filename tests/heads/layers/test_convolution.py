"""Ragged convolution, resampling and LSTMs over turns, against torch's padded layers."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from emo.heads.layers.convolution import RaggedConv, TokenNorm
from emo.heads.layers.lstm import run_over_turns
from emo.heads.layers.segments import resample_tokens
from emo.ragged import Ragged
from tests.make_batches import assert_close, make_tokens

LENGTHS = [4, 0, 1, 7]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_ragged_convolution_is_torchs_on_each_clip(size):
    tokens = make_tokens(LENGTHS, 5)
    layer = RaggedConv(5, 6, size)
    found = layer(tokens)
    weight = layer.linear.weight.view(6, size, 5).transpose(1, 2)
    for ours, clip in zip(found, tokens, strict=True):
        if len(clip):
            expected = functional.conv1d(clip.T[None], weight, padding=size // 2)[0].T
            assert_close(ours, expected)


@pytest.mark.parametrize("lengths", [[60, 0, 1, 90, 33, 120], [1, 2, 0, 1, 3] * 60])
def test_many_tokens_are_convolved_as_each_clip_alone(lengths):
    """Values and gradients, of an image of one row and of windows."""
    torch.manual_seed(0)
    tokens = make_tokens(lengths, 4)
    values = tokens.values.clone().requires_grad_()
    layer = RaggedConv(4, 3, 5)
    weight = layer.linear.weight.view(3, 5, 4).transpose(1, 2)
    found = layer(Ragged(values, tokens.offsets)).values
    clips = [clip for clip in values.split(lengths) if len(clip)]
    alone = [functional.conv1d(clip.T[None], weight, padding=2)[0].T for clip in clips]
    leaves, slope = [values, layer.linear.weight], torch.randn(found.shape)
    torch.testing.assert_close(found, torch.cat(alone))
    for ours, theirs in zip(
        torch.autograd.grad((found * slope).sum(), leaves),
        torch.autograd.grad((torch.cat(alone) * slope).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_norm_of_one_token_is_that_of_evaluation():
    norm = TokenNorm(3)
    one = torch.randn(1, 3)
    assert_close(norm.train()(one), norm.eval()(one))
    many = torch.randn(8, 3)
    assert norm.train()(many).mean().abs() < 1e-5


def test_resampling_averages_long_clips_and_repeats_short_ones():
    tokens = make_tokens(LENGTHS, 2)
    found = resample_tokens(tokens, 2)
    assert found.shape == (4, 2, 2)
    assert (found[1] == 0).all()
    assert_close(found[2], tokens[2].expand(2, 2))
    assert_close(found[0], torch.stack([tokens[0][:2].mean(0), tokens[0][2:].mean(0)]))


def test_an_lstm_over_turns_is_torchs_on_each_dialogue():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 4, bidirectional=True)
    clips = torch.randn(6, 3)
    turns = torch.tensor([[5, 0, 2, -1], [1, 3, 4, -1]])
    found = run_over_turns(lstm, clips, turns)
    for dialogue in ([5, 0, 2], [1, 3, 4]):
        np.testing.assert_allclose(
            found[dialogue].detach(), lstm(clips[dialogue])[0].detach(), atol=1e-6
        )


def test_many_dialogues_of_any_lengths_run_as_each_alone():
    """Rows and dialogues are in no order."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    lengths = random.geometric(0.2, 35)
    rows = torch.from_numpy(random.permutation(lengths.sum()))
    turns = torch.full((len(lengths), int(lengths.max())), -1)
    turns[torch.arange(turns.shape[1]) < torch.from_numpy(lengths)[:, None]] = rows
    lstm = torch.nn.LSTM(4, 3, bidirectional=True)
    clips = torch.randn(len(rows), 4, requires_grad=True)
    slope = torch.randn(len(rows), 6)
    found = run_over_turns(lstm, clips, turns)
    expected = torch.zeros_like(found)
    for dialogue in turns:
        own = dialogue[dialogue >= 0]
        expected = expected.index_copy(0, own, lstm(clips[own])[0])
    torch.testing.assert_close(found, expected)
    leaves = [clips, *lstm.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((found * slope).sum(), leaves),
        torch.autograd.grad((expected * slope).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
