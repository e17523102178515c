"""Weights in a folder of `emo adapt` say which clips they were adapted on; the store keeps it."""

import shutil

import pytest

from emo.errors import WeightsError
from emo.extract.backbones.timm import TimmModel
from emo.extract.job.request import requests_from_words
from emo.extract.run import extract
from emo.store.adapted import SeenClips
from emo.store.store import Store
from tests.make_batches import make_manifest

CLIPS = "id,split,init\na,train,\nb,val,\nc,test,\nold,train,/somewhere/first\n"
SEEN = SeenClips.of({"train": ["a", "old"], "val": ["b"]})


@pytest.fixture
def adapted(tmp_path):
    """A folder as `emo adapt` leaves it: tiny weights, adapt.json, clips.csv."""
    folder = tmp_path / "adapted"
    target = folder / "weights" / "timm" / "weights"
    target.mkdir(parents=True)
    TimmModel.write_tiny(target)
    (folder / "adapt.json").write_text("{}")
    (folder / "clips.csv").write_text(CLIPS)
    return folder


def options_of(adapted):
    weights = adapted / "weights" / "timm" / "weights"
    return TimmModel.Options(model="test_efficientnet", weights=str(weights), frames=2)


def test_a_recipe_has_the_hash_and_the_counts_but_another_fingerprint_not(adapted):
    options = options_of(adapted)
    recipe = TimmModel.recipe(options)
    assert recipe.facts["adapted"] == SEEN.facts
    assert TimmModel.seen_clips(options) == SEEN
    shutil.move(adapted / "adapt.json", adapted / "else.json")
    plain = TimmModel.recipe(options)
    assert "adapted" not in plain.facts
    assert plain.fingerprint == recipe.fingerprint
    assert not plain.differences(recipe)


def test_a_moved_folder_and_a_link_to_the_weights_are_known_too(adapted, tmp_path):
    moved = shutil.move(adapted, tmp_path / "moved")
    assert TimmModel.recipe(options_of(moved)).facts["adapted"] == SEEN.facts
    (tmp_path / "link").symlink_to(moved / "weights" / "timm" / "weights")
    options = TimmModel.Options(model="test_efficientnet", weights=str(tmp_path / "link"), frames=2)
    assert TimmModel.seen_clips(options) == SEEN


@pytest.mark.parametrize("text", [None, "name\na\n", 'id,split\n"a'])
def test_a_missing_or_damaged_list_is_refused(adapted, text):
    (adapted / "clips.csv").unlink()
    if text is not None:
        (adapted / "clips.csv").write_text(text)
    with pytest.raises(WeightsError, match=r"clips\.csv, the list of clips"):
        TimmModel.recipe(options_of(adapted))


def test_extraction_keeps_the_list_beside_the_recipe(adapted, tmp_path):
    store = tmp_path / "features"
    weights = adapted / "weights" / "timm" / "weights"
    words = ["model=test_efficientnet", f"weights={weights}", "frames=2"]
    (request,) = requests_from_words(["timm:tuned"], words)
    report = extract(make_manifest([]), store, [request], progress=False)
    assert report.exit_code == 0
    folder = Store(store).recipes["tuned"]
    assert folder.seen == SEEN
    assert folder.recipe.facts["adapted"] == SEEN.facts
    assert str(tmp_path) not in "".join(p.read_text() for p in folder.path.glob("adapted-*.csv"))
