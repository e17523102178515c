"""Options of recipes in a run or a job of somebody else: types and sizes are checked."""

import types
from dataclasses import replace

import numpy as np
import pytest

from emo.errors import EmoError, MediaError
from emo.extract.backbones.classic import Classic, ClassicOptions
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.job.repeat_recipes import requests_of_recipes
from emo.extract.job.request import Request, make_request
from emo.extract.media import FaceRule, Media, Needs, Uniform
from emo.extract.worker.decoding.prepare import ClipPreparer
from emo.store.recipe import Recipe
from tests.hostile.build import refused
from tests.hostile.test_media_bombs import film

RECIPE = Classic.recipe(ClassicOptions())
WRONG = [
    ("frames", 10**9), ("frames", 10**400), ("frames", float("nan")), ("frames", 8.0),
    ("frames", True), ("face_size", 5 * 10**6), ("face_size", 1e308), ("face_size", "x"),
    ("hop_seconds", 1e-5), ("hop_seconds", 1e-300), ("hop_seconds", 10**400),
    ("hop_seconds", float("inf")), ("mels", 10**39), ("mels", 10**6), ("mels", None),
    ("faces", "none"), ("faces", ["track"]), ("require_face", 1), ("margin", -1.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_options_have_their_types_and_bounds(name, value):
    recipe = replace(RECIPE, options={**RECIPE.options, name: value})
    refused(lambda: requests_of_recipes({"classic": recipe}, document="run.json"), "classic", name)
    request = Request("classic", "classic", dict(recipe.options), recipe)
    refused(lambda: request.load("cpu"), "classic", name)


def test_right_options_are_taken():
    recipe = replace(RECIPE, options={**RECIPE.options, "margin": 1, "hop_seconds": 0.02})
    with pytest.raises(EmoError, match="are of classic version 1, and emo"):
        requests_of_recipes({"classic": replace(recipe, version=1)}, document="run.json")
    assert requests_of_recipes({"classic": RECIPE}, document="run.json")[0].recipe == RECIPE


@pytest.mark.parametrize("name", ["mels", "text_width"])
def test_numbers_of_the_command_line_are_one_line(name):
    refused(lambda: make_request("classic", "classic", {name: str(10**39)}), "classic")


@pytest.mark.parametrize(
    ("name", "value"),
    [("backbone", 1.5), ("streams", []), ("streams", {"a": 1}), ("options", 10**39),
     ("weights", {}), ("version", "1"), ("facts", 3), ("code", [])],
)  # fmt: skip
def test_entries_of_a_recipe_have_their_types(name, value):
    refused(lambda: Recipe.from_json({**RECIPE.to_json(), name: value}), name, "expected")


def test_crops_of_faces_are_counted(tmp_path):
    film(tmp_path / "a.mp4", 32, 4)
    for squash, size in ((None, 400_000), (400_000, 16)):
        need = Needs(Uniform(4), faces=FaceRule(mode="centre", size=size, margin=0),
                     keep_frames=squash is not None, squash=squash)  # fmt: skip
        with pytest.raises(MediaError, match="take more than 2 GiB"):
            load_media(ClipSource(video=tmp_path / "a.mp4"), [need])


def test_tokens_are_counted_before_they_are_computed():
    """A spectrogram of 10,000 bands for each sample: 18 GiB for ten seconds."""
    options = ClassicOptions(mels=10_000, hop_seconds=1 / 16_000)
    request = Request("c", "classic", dict(vars(options)), Classic.recipe(options))
    job = types.SimpleNamespace(clip_bytes=2 << 30, is_strict=False)
    preparer = ClipPreparer.__new__(ClipPreparer)
    preparer._job, preparer._models = job, types.SimpleNamespace(backbones={"c": Classic(options)})
    media = Media(samples=np.zeros((1, 160_000), np.float32), sample_rate=16_000)
    assert "its tokens would take 17.9 GiB" in preparer._prepared(request, media, None)
    usual = make_request("classic", "c", {})
    preparer._models.backbones["c"] = Classic(ClassicOptions())
    assert preparer._prepared(usual, media, None).inputs["audio"].shape == (501, 125)
