"""Options of a fit: one flat set of names, in two dataclasses."""

import dataclasses

import pytest

from emo.errors import OptionError
from emo.heads.options import LOOP_FIELDS, YOUNG, FitOptions, LoopOptions


def test_no_name_stands_for_two_options():
    own = {item.name for item in dataclasses.fields(FitOptions)}
    assert own.isdisjoint(LOOP_FIELDS)


def test_options_of_the_loop_are_given_and_replaced_by_their_names():
    options = FitOptions.of(head="linear", epochs=7, target_weights={"label": 2.0})
    assert options == FitOptions(
        head="linear", loop=LoopOptions(epochs=7, target_weights={"label": 2.0})
    )
    other = options.replace(seeds=3, patience=2)
    assert (other.seeds, other.loop.patience, other.loop.epochs) == (3, 2, 7)
    assert options.replace(loop=LoopOptions(), epochs=9).loop == LoopOptions(epochs=9)


def test_flat_options_are_read_again():
    options = FitOptions.of(target=("a", "b"), tasks={"a": "regress"}, mixup=0.2, threads=2)
    flat = options.flat()
    assert "loop" not in flat
    assert FitOptions.of(**flat) == options
    names = list(flat)
    at = names.index("first_seed") + 1
    old = tuple(name for name in LOOP_FIELDS if name not in YOUNG)
    assert tuple(names[at : at + len(old)]) == old  # where run.json has them
    assert FitOptions.of(**FitOptions.of(choose_by="uar").flat()).loop.choose_by == "uar"


def test_a_wrong_value_of_the_loop_is_refused_there_too():
    with pytest.raises(OptionError, match="epochs: expected at least 1, got 0"):
        LoopOptions(epochs=0)
    with pytest.raises(TypeError, match="epoch"):
        FitOptions.of(epoch=3)
