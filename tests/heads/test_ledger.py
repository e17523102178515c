"""A run says which runs beside it scored the same test clips under other options."""

import dataclasses
import json

import pytest

from emo.heads.fit import FitOptions, fit_head
from emo.heads.ledger import LEDGER
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
OPTIONS = FitOptions(head="mean_pool", epochs=1, threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80, streams=("a",))
    store = make_store(tmp_path_factory.mktemp("ledger") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def before(run):
    return json.loads((run / "run.json").read_text())["scored_before_by"]


def test_other_options_on_the_same_test_clips_are_recorded(made, tmp_path):
    manifest, store = made
    fit_head(manifest, [store], tmp_path / "a", OPTIONS)
    fit_head(manifest, [store], tmp_path / "again", dataclasses.replace(OPTIONS, seeds=2))
    other = fit_head(manifest, [store], tmp_path / "b", dataclasses.replace(OPTIONS, epochs=2))
    assert before(tmp_path / "a") == before(tmp_path / "again") == []
    assert before(tmp_path / "b") == ["a", "again"]
    assert "test was scored before under other options (2: a, again)" in other.table()


def test_other_test_clips_another_target_and_no_test_are_none(made, tmp_path):
    manifest, store = made
    fit_head(manifest, [store], tmp_path / "a", OPTIONS)
    clips = tuple(clip for clip in manifest.clips if clip.id != "c79")
    fewer = dataclasses.replace(manifest, clips=clips)
    fit_head(fewer, [store], tmp_path / "b", dataclasses.replace(OPTIONS, epochs=2))
    assert before(tmp_path / "b") == []
    untested = tuple(clip for clip in manifest.clips if clip.split != "test")
    fit_head(
        dataclasses.replace(manifest, clips=untested), [store], tmp_path / "c",
        dataclasses.replace(OPTIONS, epochs=2),
    )  # fmt: skip
    assert before(tmp_path / "c") == []


def test_a_cut_line_is_no_trouble(made, tmp_path):
    manifest, store = made
    (tmp_path / LEDGER).write_text('{"test": "12')
    fit_head(manifest, [store], tmp_path / "a", OPTIONS)
    fit_head(manifest, [store], tmp_path / "b", dataclasses.replace(OPTIONS, epochs=2))
    assert before(tmp_path / "a") == []
    assert before(tmp_path / "b") == ["a"]
