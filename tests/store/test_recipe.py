"""Tests of emo/store/recipe.py."""

import json

import pytest

from emo.errors import StoreError
from emo.store.recipe import Recipe, StreamSpec

RECIPE = Recipe(
    "classic",
    {"audio": StreamSpec(68), "face": StreamSpec(12, "uint8", "frame", "image", (2, 2, 3))},
    {"frames": 8, "rate": None},
    weights="abc",
)


def test_json_round_trip_keeps_the_fingerprint():
    again = Recipe.from_json(json.loads(json.dumps(RECIPE.to_json())))
    assert again == RECIPE
    assert again.fingerprint == RECIPE.fingerprint


def test_the_fingerprint_does_not_depend_on_the_order_of_options():
    turned = Recipe("classic", RECIPE.streams, {"rate": None, "frames": 8}, weights="abc")
    assert turned.fingerprint == RECIPE.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        Recipe("other", RECIPE.streams, RECIPE.options, "abc"),
        Recipe("classic", {"audio": StreamSpec(69)}, RECIPE.options, "abc"),
        Recipe("classic", RECIPE.streams, {"frames": 9, "rate": None}, "abc"),
        Recipe("classic", RECIPE.streams, RECIPE.options, "abd"),
        Recipe("classic", RECIPE.streams, RECIPE.options, "abc", version=2),
    ],
)
def test_whatever_changes_numbers_changes_the_fingerprint(other):
    assert other.fingerprint != RECIPE.fingerprint


def test_differences_name_the_field_and_both_values():
    other = Recipe("classic", RECIPE.streams, {"frames": 16, "rate": None}, weights="abc")
    assert RECIPE.differences(other) == ["options.frames: 8 -> 16"]


@pytest.mark.parametrize("document", [{}, {"backbone": "x"}, {**RECIPE.to_json(), "streams": 3}])
def test_a_document_that_is_no_recipe_is_a_store_error(document):
    with pytest.raises(StoreError, match="not a recipe"):
        Recipe.from_json(document)


def test_a_shape_must_have_dim_elements():
    with pytest.raises(ValueError, match="product of shape"):
        StreamSpec(12, shape=(2, 2))
