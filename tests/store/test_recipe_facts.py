"""Facts of a recipe: kept for readers, never part of its identity."""

from emo.store.recipe import Recipe, StreamSpec
from emo.store.store import Store


def recipe(**more):
    return Recipe("mine", {"video": StreamSpec(8)}, {"frames": 8}, **more)


def test_facts_survive_json_and_leave_the_fingerprint():
    with_facts = recipe(facts={"logit_scale": {"video": 4.6}})
    assert Recipe.from_json(with_facts.to_json()) == with_facts
    assert with_facts.fingerprint == recipe().fingerprint


def test_a_recipe_without_facts_is_written_as_before_there_were_any():
    assert "facts" not in recipe().to_json()
    assert Recipe.from_json(recipe().to_json()).facts == {}


def test_facts_are_no_difference_and_do_not_close_an_older_store(tmp_path):
    """A store written before a backbone knew a fact takes more clips from the backbone of today."""
    today = recipe(facts={"logit_scale": {"video": 4.6}})
    assert recipe().differences(today) == []
    assert today.differences(recipe(version=2)) == ["version: 1 -> 2"]
    Store.create(tmp_path / "store").add_recipe("mine", recipe())
    Store.create(tmp_path / "store").add_recipe("mine", today)
