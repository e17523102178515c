"""Tests of emo/ragged.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emo.ragged import Ragged, offsets_of


def ragged_of(lengths):
    offsets = offsets_of(np.asarray(lengths))
    values = np.arange(2 * offsets[-1], dtype=np.float32).reshape(-1, 2)
    return Ragged(values, offsets)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
def test_select_gives_the_same_clips_in_numpy_and_torch(lengths, data):
    tokens = ragged_of(lengths)
    index = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    chosen = tokens.select(index)
    in_torch = Ragged(torch.from_numpy(tokens.values), torch.from_numpy(tokens.offsets))
    for position, clip in enumerate(index):
        np.testing.assert_array_equal(chosen[position], tokens[clip])
        np.testing.assert_array_equal(in_torch.select(index)[position].numpy(), tokens[clip])
    assert list(chosen.lengths) == [lengths[clip] for clip in index]


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 6), st.booleans())
def test_single_tokens_are_selected_as_any_others(index, clips, is_torch):
    """Of pooled clips values are rows, which is a path of its own."""
    index = [clip % clips for clip in index]
    tokens = ragged_of([1] * clips)
    assert tokens.is_single
    if is_torch:
        tokens = Ragged(torch.from_numpy(tokens.values), torch.from_numpy(tokens.offsets))
    chosen = tokens.select(index)
    np.testing.assert_array_equal(np.asarray(chosen.values), np.asarray(tokens.values)[index])
    assert list(chosen.offsets) == list(range(len(index) + 1))
    assert chosen.is_single == Ragged(chosen.values, chosen.offsets).is_single


@pytest.mark.parametrize("lengths", [[0, 2], [2], [0], [1, 1, 0]])
def test_absent_and_longer_clips_are_not_single(lengths):
    assert not ragged_of(lengths).is_single


def test_of_lays_arrays_end_to_end():
    arrays = [np.ones((2, 3)), np.zeros((0, 3)), np.full((1, 3), 2.0)]
    tokens = Ragged.of(arrays)
    assert (len(tokens), tokens.width, list(tokens.offsets)) == (3, 3, [0, 2, 2, 3])
    assert [len(clip) for clip in tokens] == [2, 0, 1]


@pytest.mark.parametrize("offsets", [[0, 1], [1, 2], [0]])
def test_offsets_must_cover_the_values(offsets):
    with pytest.raises(ValueError, match="expected offsets from 0 to 2"):
        Ragged(np.zeros((2, 1)), np.asarray(offsets))


def test_a_clip_outside_is_an_index_error():
    with pytest.raises(IndexError):
        ragged_of([1, 2])[2]
