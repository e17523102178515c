"""Notes on dimensions that are constant, or that have a value out of all proportion."""

import numpy as np
import pytest
import torch

from emo.heads.data.column_notes import notes_on_constant_dimensions, notes_on_outlying_dimensions
from emo.heads.data.scaling import Scaling
from emo.ragged import Ragged


def clips_of(values, tokens_each=1):
    offsets = np.arange(0, len(values) + 1, tokens_each)
    return Ragged(values, offsets), [f"c{row}" for row in range(len(offsets) - 1)]


def test_constant_dimensions_are_counted():
    scaling = Scaling(torch.zeros(4), torch.tensor([1.0, 0, 2, 0]))
    assert notes_on_constant_dimensions("a", scaling) == [
        "a: 2 of 4 dimensions are constant on train: dropped"
    ]
    assert notes_on_constant_dimensions("a", Scaling(torch.zeros(2), torch.ones(2))) == []


@pytest.mark.parametrize("clips", [30, 5000])
@pytest.mark.parametrize("value", [1e8, -1e8])
def test_a_broken_number_is_named_with_its_clip(clips, value):
    values = np.random.default_rng(0).standard_normal((clips, 8)).astype(np.float32)
    values[21, 7] = value
    values[:, 3] *= 1e12
    values[:, 4] = 1
    (note,) = notes_on_outlying_dimensions("mine/a", *clips_of(values, 2))
    assert note.startswith("mine/a: in 1 of 8 dimensions a value")
    assert note.endswith(f"7 ({value:.3g} in clip c10)")


def test_at_most_five_dimensions_are_named():
    values = np.random.default_rng(0).standard_normal((100, 9)).astype(np.float32)
    values[0, :7] = 1e9
    (note,) = notes_on_outlying_dimensions("a", *clips_of(values))
    assert note.count("in clip c0") == 5
    assert note.endswith("and 2 more")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_usual_columns_are_not_named(dtype):
    random = np.random.default_rng(0)
    heavy = random.lognormal(0, 2, (3000, 5))
    rare = random.random((3000, 3)) < 0.001
    values = np.concatenate([heavy, rare, np.full((3000, 1), 7)], axis=1).astype(dtype)
    assert notes_on_outlying_dimensions("a", *clips_of(values)) == []
    assert notes_on_outlying_dimensions("a", *clips_of(values[:0])) == []
