"""Scaling: the values of each kind of stream, all of which are finite."""

import numpy as np
import pytest
import torch

from emo.heads.data.scaling import (
    TOTAL_VARIANCE,
    column_scale,
    fit_scaling,
    requested_scaling,
)
from emo.ragged import Ragged


def ragged(values):
    return Ragged(values, np.array([0, len(values)]))


@pytest.fixture
def values():
    random = np.random.default_rng(0)
    return random.standard_normal((400, 5)) * [1, 10, 100, 1e-3, 2] + [0, 5, -50, 1e-3, 7]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_dense_streams_are_standardised_per_dimension(values, dtype):
    tokens = ragged(values.astype(dtype))
    scaled = fit_scaling(tokens, "dense").apply(tokens).values.double().numpy()
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.var(0), TOTAL_VARIANCE / 5, rtol=1e-3)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_values_whose_squares_exceed_float32_are_scaled_like_others(values, kind):
    large = ragged((values * 1e30).astype(np.float32))
    scaled = fit_scaling(large, kind).apply(large).values.double().numpy()
    usual = ragged(values.astype(np.float32))
    expected = fit_scaling(usual, kind).apply(usual).values.double().numpy()
    np.testing.assert_allclose(scaled, expected, rtol=1e-3, atol=1e-4)


def test_every_stream_ends_with_the_same_total_variance(values):
    wide = np.random.default_rng(1).standard_normal((400, 300)) * 40
    sparse = (np.random.default_rng(2).random((400, 50)) < 0.05).astype(np.float16)
    for found, kind in ((values, "dense"), (wide, "dense"), (sparse, "sparse")):
        scaled = fit_scaling(ragged(found), kind).apply(ragged(found)).values.double()
        total = scaled.var(0, correction=0).sum()
        assert total == pytest.approx(TOTAL_VARIANCE, rel=1e-3)


def test_sparse_streams_keep_their_zeros_and_proportions():
    counts = np.array([[0, 1, 2], [4, 0, 0]], np.float16)
    scaled = fit_scaling(ragged(counts), "sparse").apply(ragged(counts)).values
    assert (scaled[counts == 0] == 0).all()
    np.testing.assert_allclose(scaled / scaled[0, 1], counts, rtol=1e-6)


def test_images_are_divided_by_255():
    pixels = np.array([[0, 51, 255]], np.uint8)
    scaled = fit_scaling(ragged(pixels), "image").apply(ragged(pixels)).values
    assert scaled.tolist() == [[0, pytest.approx(0.2), 1]]


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 6e4])
def test_constant_dimensions_stay_finite_and_say_nothing(kind, constant):
    tokens = ragged(np.full((50, 2), constant, np.float16))
    tokens.values[:25, 1] = 3
    new = ragged(np.full((2, 2), 7, np.float16))
    scaled = fit_scaling(tokens, kind).apply(new).values
    assert scaled.isfinite().all()
    if kind == "dense":
        assert (scaled[:, 0] == 0).all()


def test_a_stream_without_training_tokens_stays_finite():
    empty = ragged(np.zeros((0, 3), np.float16))
    for kind in ("dense", "sparse"):
        scaling = fit_scaling(empty, kind)
        assert torch.isfinite(scaling.apply(ragged(np.ones((2, 3), np.float16))).values).all()


def test_statistics_are_exact_where_float16_sums_overflow():
    tokens = ragged(np.full((70_000, 1), 1000, np.float16))
    tokens.values[::2] = 1002
    scaling = fit_scaling(tokens, "dense")
    assert scaling.centre.item() == 1001
    assert scaling.scale.item() == pytest.approx(TOTAL_VARIANCE**0.5)


def test_read_only_tokens_of_a_mapped_store_are_copied():
    values = np.ones((3, 2), np.float32)
    values[0] = 2
    values.flags.writeable = False
    scaled = fit_scaling(ragged(values), "dense").apply(ragged(values)).values
    scaled += 1
    assert values[1, 0] == 1


def test_a_scaling_can_be_asked_for(values):
    tokens = ragged(values.astype(np.float32))
    raw = requested_scaling("raw", 5, None).apply(tokens).values.numpy()
    np.testing.assert_array_equal(raw, tokens.values)
    unit = requested_scaling("unit", 5, None).apply(tokens).values
    np.testing.assert_allclose(unit.norm(dim=1), 1, atol=1e-5)
    scaled = requested_scaling("unit*logit_scale", 5, 2.6592).apply(tokens).values
    np.testing.assert_allclose(scaled.norm(dim=1), 14.285, rtol=1e-3)  # exp(2.6592), as in CLIP


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("unit*logit_scale", "no logit_scale"),
        ("unit*nan", "finite"),
        ("log", "expected raw, unit"),
        ("unit*x", "could not convert"),
    ],
)
def test_a_scaling_that_cannot_be_is_refused(words, wrong):
    with pytest.raises(ValueError, match=wrong):
        requested_scaling(words, 5, None)


def test_each_dimension_is_judged_by_itself(values):
    """Small dimensions beside large ones, and beside one broken number, stay as they are alone."""
    scales = 10.0 ** np.arange(-6, 7, 3)
    tokens = ragged((values * scales).astype(np.float32))
    scaled = fit_scaling(tokens, "dense").apply(tokens).values.double().numpy()
    np.testing.assert_allclose(scaled.var(0), TOTAL_VARIANCE / 5, rtol=1e-3)
    tokens.values[3, 4] = 1e20
    broken = fit_scaling(tokens, "dense").apply(tokens).values.double().numpy()
    np.testing.assert_allclose(broken[:, :4], scaled[:, :4], rtol=1e-3, atol=1e-3)
    assert np.isfinite(broken).all()


def test_deviations_too_small_for_float32_are_constant():
    tokens = ragged(np.array([[0, 1], [1e-38, 2]], np.float32))
    scaling = fit_scaling(tokens, "dense")
    assert scaling.scale.isfinite().all()
    assert (scaling.scale > 0).tolist() == [False, True]


def test_one_broken_number_does_not_empty_a_sparse_stream():
    counts = (np.random.default_rng(2).random((400, 50)) < 0.05).astype(np.float32)
    usual = fit_scaling(ragged(counts), "sparse").scale
    counts[7, 7] = 1e8
    broken = fit_scaling(ragged(counts), "sparse")
    others = np.arange(50) != 7
    np.testing.assert_allclose(broken.scale[others], usual[others], rtol=0.05)
    spread = broken.apply(ragged(counts)).values.std(0).numpy()
    assert spread[7] < 1.01 * spread[others].max()


def test_pooled_columns_are_judged_by_the_tokens_they_come_from():
    """Means that vary 10,000 times less than others are no rounding; means of nothing are."""
    random = np.random.default_rng(0)
    rows = torch.from_numpy(random.standard_normal((200, 3)).astype(np.float32))
    rows[:, 1] *= 1e-6
    rms = torch.tensor([1.0, 1e-6, 1.0])
    rows[:, 2] *= 1e-7  # tokens of deviation 1 whose means are all 0 but for rounding
    factors = column_scale(rows, [3], rms)
    np.testing.assert_allclose((rows * factors).std(0), [0.5**0.5, 0.5**0.5, 0], rtol=0.01)
