"""One rule for intervals: whole dialogues where there are any, else clips; a column on request."""

import dataclasses
import json

import numpy as np
import pytest

from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.runs.comparing.compare import compare_runs
from emo.manifest import read_manifest
from tests.make_batches import make_store

LINEAR = FitOptions(
    "linear", head_options={"solver": "ridge", "penalties": "3", "fusion": "late"}, threads=1
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store, and manifests with dialogues and speakers, with one dialogue a split, and without.

    Most clips of a dialogue are right or wrong together, so that few dialogues tell little.
    """
    folder, random = tmp_path_factory.mktemp("intervals"), np.random.default_rng(0)
    rows, tokens = [], {}
    for number in range(240):
        dialogue, label = number // 8, number % 2
        sign = -1 if dialogue % 3 == 0 else 1
        value = 4 * (label - 0.5) * sign + random.normal()
        tokens[f"c{number}"] = {"a": np.array([[value, random.normal()]], np.float32)}
        split = ("train", "train", "train", "val", "test")[dialogue % 5]
        rows.append((f"c{number},x,{split},{'yn'[label]}", f"d{dialogue}", f"s{dialogue % 10}"))
    store = make_store(folder / "features", tokens)
    texts = {
        "talks": ("dialogue,speaker", [f"{row},{d},{s}" for row, d, s in rows]),
        "one": ("dialogue", [f"{row},{row.split(',')[2]}" for row, _, _ in rows]),
        "clips": ("speaker", [f"{row},{s}" for row, _, s in rows]),
    }
    for name, (columns, lines) in texts.items():
        text = "\n".join([f"id,text,split,label,{columns}", *lines])
        (folder / f"{name}.csv").write_text(text + "\n")
    return folder, store


def fitted(made, name, out, **options):
    folder, store = made
    asked = dataclasses.replace(LINEAR, **options)
    result = fit_head(read_manifest(folder / f"{name}.csv"), [store], folder / out, asked)
    return result, json.loads((folder / out / "run.json").read_text())


def width(document):
    low, high = document["metrics"]["test"]["interval"]["accuracy"]
    return high - low


def test_dialogues_are_drawn_where_there_are_any(made):
    result, document = fitted(made, "talks", "talks")
    assert document["drawn"] == "dialogue"
    assert document["metrics"]["test"]["drawn"] == "6 dialogues"
    assert "interval: bootstrap over 6 dialogues of val and 6 dialogues of test" in result.table()
    over_clips, plain = fitted(made, "clips", "clips")
    assert plain["drawn"] == "clip"
    assert plain["metrics"]["test"]["drawn"] == "48 clips"
    assert "interval: bootstrap over clips" in over_clips.table()
    assert width(document) > 1.5 * width(plain)


def test_one_dialogue_cannot_be_drawn_again(made):
    result, document = fitted(made, "one", "one")
    assert document["metrics"]["test"]["drawn"] == "48 clips"
    assert width(document) > 0
    assert "interval: bootstrap over clips" in result.table()


@pytest.mark.parametrize(
    ("over", "drawn"),
    [("speaker", "2 speakers"), ("clip", "48 clips"), ("dialogue", "6 dialogues")],
)
def test_another_column_is_drawn_on_request(made, over, drawn):
    _, document = fitted(made, "talks", f"over-{over}", interval_over=over)
    assert document["drawn"] == over
    assert document["metrics"]["test"]["drawn"] == drawn
    assert document["options"]["interval_over"] == over
    _, usual = fitted(made, "talks", "talks")
    assert document["metrics"]["test"]["mean"] == usual["metrics"]["test"]["mean"]
    assert (width(document) == width(usual)) == (over == "dialogue")


def test_a_column_that_no_clip_has_is_refused(made):
    with pytest.raises(FitError, match="unknown column of --interval-over 'session'"):
        fitted(made, "talks", "none", interval_over="session")
    with pytest.raises(FitError, match="unknown column of --interval-over 'dialogue'"):
        fitted(made, "clips", "none", interval_over="dialogue")


def test_a_dialogue_in_several_folds_is_drawn_once(made):
    folder, store = made
    manifest = read_manifest(folder / "talks.csv")
    halves = tuple(
        dataclasses.replace(clip, targets={**clip.targets, "half": "ab"[row % 4 // 2]})
        for row, clip in enumerate(manifest.clips)
    )
    manifest = dataclasses.replace(manifest, clips=halves)
    result = cross_validate(manifest, [store], folder / "cv", LINEAR, by="half")
    document = json.loads((folder / "cv" / "run.json").read_text())
    assert document["drawn"] == "dialogue"
    assert result.metrics["drawn"] == "30 dialogues"


def intervals(found):
    return {row.path.name: row.interval(found.interval_over) for row in found.runs}


def test_compare_draws_by_the_same_rule(made):
    folder, _ = made
    for name, options in (("talks", {}), ("over-clip", {"interval_over": "clip"})):
        _, document = fitted(made, "talks", name, **options)
    runs = [folder / "talks", folder / "over-clip"]
    usual = compare_runs(runs)
    assert usual.paired.drawn == "6 dialogues"
    assert "interval: bootstrap over dialogues" in usual.table()
    low, high = document["metrics"]["test"]["interval"]["weighted_f1"]
    found = intervals(usual)
    assert found["talks"] == found["over-clip"]  # drawn again, to the bit
    assert found["talks"] != (low, high)
    single = compare_runs(runs, interval_over="clip")
    assert single.paired.drawn == "48 clips"
    assert intervals(single) == dict.fromkeys(("talks", "over-clip"), (low, high))
    people = compare_runs(runs, interval_over="speaker")
    assert people.paired.drawn == "2 speakers"
    assert "interval: bootstrap over speakers" in people.table()
    with pytest.raises(FitError, match="--interval-over mood: no scored clip has a mood"):
        compare_runs(runs, interval_over="mood")


def test_compare_reads_runs_of_before_they_said_what_was_drawn(made):
    folder, _ = made
    _, document = fitted(made, "talks", "old", interval_over="clip")
    expected = document["metrics"]["test"]["interval"]["weighted_f1"]
    del document["drawn"]
    (folder / "old" / "run.json").write_text(json.dumps(document))
    assert intervals(compare_runs([folder / "old"]))["old"] != tuple(expected)
    assert intervals(compare_runs([folder / "old"], interval_over="clip"))["old"] == tuple(expected)


def test_a_manifest_that_changed_is_not_read_for_a_column(made, tmp_path):
    folder, store = made
    path = tmp_path / "m.csv"
    path.write_bytes((folder / "talks.csv").read_bytes())
    fit_head(read_manifest(path), [store], tmp_path / "run", LINEAR)
    assert compare_runs([tmp_path / "run"], interval_over="speaker").table()
    path.write_text(path.read_text().replace("s1", "s2"))
    with pytest.raises(FitError, match="has changed since"):
        compare_runs([tmp_path / "run"], interval_over="speaker").table()
    path.unlink()
    with pytest.raises(FitError, match="--interval-over speaker reads the manifest"):
        compare_runs([tmp_path / "run"], interval_over="speaker").table()
