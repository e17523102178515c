"""Pooling within clips, against numpy and against the plain formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emo.heads.layers.lstm import run_lstm
from emo.heads.layers.segments import (
    AttentionPool,
    mean_tokens,
    segment_mean,
    segment_softmax,
    segment_std,
    segment_sum,
    shorten,
)
from emo.heads.library.attention_pool import AttentionOptions, ProjectedAttention
from emo.heads.library.cross_modal import TokenLayout, TransformerLayer
from emo.ragged import Ragged
from tests.make_batches import assert_close, make_tokens

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=7)


@given(LENGTHS)
@settings(deadline=None, max_examples=40)
def test_mean_std_sum_and_softmax_are_numpys(lengths):
    tokens = make_tokens(lengths, 3)
    values, offsets = tokens.values, tokens.offsets
    weights = segment_softmax(values[:, 0], offsets)
    found = [
        segment_sum(values, offsets).numpy(),
        segment_sum(values, offsets, weights).numpy(),
        segment_mean(values, offsets).numpy(),
        segment_std(values, offsets).numpy(),
    ]
    for row, clip in enumerate(tokens):
        clip = clip.double().numpy()
        powers = np.exp(clip[:, :1])
        zeros = np.zeros(3)
        expected = [
            clip.sum(0),
            (powers / powers.sum() * clip).sum(0) if len(clip) else zeros,
            clip.mean(0) if len(clip) else zeros,
            clip.std(0) if len(clip) else zeros,
        ]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours[row], theirs, rtol=1e-4, atol=1e-5)


def test_61_ones_have_mean_exactly_one_whatever_is_beside_them():
    values = torch.ones(61 + 2000, 4)
    values[:1000] = 1e7
    values[1061:] = -3e6
    offsets = torch.tensor([0, 1000, 1061, 2061])
    assert torch.equal(segment_mean(values, offsets)[1], torch.ones(4))
    weights = segment_softmax(torch.zeros(2061), offsets)
    assert_close(segment_sum(values, offsets, weights)[1], torch.ones(4))


def test_softmax_is_stable_and_sums_to_one():
    weights = segment_softmax(torch.tensor([1e4, 1e4, -1e4, -3e38]), torch.tensor([0, 0, 3, 4, 4]))
    assert weights.tolist() == [0.5, 0.5, 0.0, 1.0]


@pytest.mark.parametrize("pool", ["mean", "std", "softmax"])
def test_gradients_are_the_slopes(pool):
    pool = {"mean": segment_mean, "std": segment_std, "softmax": _softmax_pool}[pool]
    tokens = make_tokens([2, 0, 3], 4)
    values = tokens.values.double().requires_grad_()
    weights = torch.arange(12.0).reshape(3, 4).double().cos()
    (gradient,) = torch.autograd.grad((pool(values, tokens.offsets) * weights).sum(), values)
    with torch.no_grad():
        for place in np.ndindex(*values.shape):
            step = torch.zeros_like(values)
            step[place] = 1e-6
            ends = [pool(values + sign * step, tokens.offsets) for sign in (1, -1)]
            slope = ((ends[0] - ends[1]) * weights).sum() / 2e-6
            assert slope.item() == pytest.approx(gradient[place].item(), abs=1e-5)


def _softmax_pool(values, offsets):
    return segment_sum(values, offsets, segment_softmax(values[:, 0], offsets))


def test_mean_tokens_keep_absent_clips_absent():
    tokens = mean_tokens(make_tokens([2, 0, 3], 4))
    assert tokens.lengths.tolist() == [1, 0, 1]
    again = mean_tokens(tokens)
    assert torch.equal(again.values, tokens.values)


@given(LENGTHS, st.integers(1, 7))
@settings(deadline=None, max_examples=40)
def test_shortened_clips_are_means_of_even_windows(lengths, longest):
    tokens = make_tokens(lengths, 3)
    short = shorten(tokens, longest)
    for clip, found in zip(tokens, short, strict=True):
        count = min(len(clip), longest)
        assert found.shape == (count, 3)
        window = np.arange(len(clip)) * count // max(len(clip), 1)
        sizes = np.bincount(window)
        assert not len(sizes) or sizes.max() - sizes.min() <= 1
        for k in range(count):
            np.testing.assert_allclose(found[k], clip[window == k].mean(0), atol=1e-5)


def test_folded_attention_is_the_unfolded_formula():
    torch.manual_seed(0)
    folded = ProjectedAttention(6, AttentionOptions(hidden=5, attention=4))
    nn.init.normal_(folded.project.bias)
    tokens = make_tokens([3, 0, 1, 8], 6)
    projected = Ragged(folded.project(tokens.values), tokens.offsets)
    unfolded = folded.pool(projected)
    assert_close(folded(tokens), unfolded)
    ours = torch.autograd.grad(folded(tokens).square().sum(), list(folded.parameters()))
    theirs = torch.autograd.grad(folded.pool(projected).square().sum(), list(folded.parameters()))
    for gradient, expected in zip(ours, theirs, strict=True):
        assert_close(gradient, expected, tolerance=1e-4)


def test_attention_prefers_the_token_it_scores_highest():
    pool = AttentionPool(2, 2)
    pool.hidden.weight.data, pool.hidden.bias.data = torch.eye(2), torch.zeros(2)
    pool.score.weight.data = torch.tensor([[50.0, 0.0]])
    tokens = Ragged(torch.tensor([[0.0, 1.0], [2.0, 3.0], [0.1, 5.0]]), torch.tensor([0, 3]))
    assert_close(pool(tokens), torch.tensor([[2.0, 3.0]]))


@pytest.mark.parametrize("bidirectional", [False, True])
@given(LENGTHS)
@settings(deadline=None, max_examples=20)
def test_an_lstm_over_ragged_clips_is_torchs_on_each_clip(bidirectional, lengths):
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 2, bidirectional=bidirectional)
    tokens = make_tokens(lengths, 3)
    tokens.values.requires_grad_()
    alone = [lstm(clip)[0] for clip in tokens if len(clip)]
    theirs = torch.cat([*alone, tokens.values.new_zeros(0, 2 * (1 + bidirectional))])
    ours = run_lstm(lstm, tokens).values
    assert_close(ours, theirs)
    if sum(lengths):
        learnt = [tokens.values, *lstm.parameters()]
        gradients = [torch.autograd.grad(found.sin().sum(), learnt) for found in (ours, theirs)]
        for found, expected in zip(*gradients, strict=True):
            assert_close(found, expected)


def test_padding_of_other_clips_changes_no_token_of_a_transformer_layer():
    torch.manual_seed(0)
    layer = TransformerLayer(8, 2, 0.0)
    layout = TokenLayout.of([make_tokens([4, 1, 0], 8), make_tokens([0, 2, 0], 8)])
    tokens = torch.randn(3 + 7, 8)
    together = layer(tokens, layout)
    rows = [0, 3, 4, 5, 6], [1, 7, 8, 9], [2]  # read-outs, then the first stream, then the second
    for own, lengths in zip(rows, [[4, 0], [1, 2], [0, 0]], strict=True):
        alone = layer(tokens[own], TokenLayout.of([make_tokens([length], 8) for length in lengths]))
        assert_close(together[own], alone)


def test_a_layer_that_makes_only_the_first_token_makes_the_same():
    torch.manual_seed(0)
    layer = TransformerLayer(8, 2, 0.0)
    layout = TokenLayout.of([make_tokens([4, 1, 0], 8), make_tokens([0, 2, 0], 8)])
    tokens = torch.randn(3 + 7, 8)
    ours, theirs = layer(tokens, layout, wanted=3), layer(tokens, layout)[:3]
    assert_close(ours, theirs)
    gradients = [
        torch.autograd.grad(found.sin().sum(), list(layer.parameters())) for found in (ours, theirs)
    ]
    for found, expected in zip(*gradients, strict=True):
        assert_close(found, expected)
