"""Cross-validation: pooled scores, the run folder, and errors."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.folds.gather_folds import pool_scores
from emo.heads.metrics.classes import scores
from emo.heads.metrics.scores import Scores
from emo.heads.runs.run import Run
from tests.heads.data.test_folds import with_column
from tests.make_batches import learnable, make_manifest, make_store

SESSIONS = [f"s{row // 30}" for row in range(120)]
QUICK = FitOptions.of(head="mean_pool", epochs=4, learning_rate=1e-2, seeds=2, threads=1)
LINEAR = FitOptions(
    head="linear", head_options={"solver": "ridge", "penalties": "3", "fusion": "late"}, threads=1
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120, streams=("a", "b"))
    store = make_store(tmp_path_factory.mktemp("cross") / "features", tokens)
    manifest = make_manifest(labels, dialogue=[f"d{row // 6}" for row in range(120)])
    clips = tuple(with_column(manifest.clips, "session", SESSIONS))
    return dataclasses.replace(manifest, clips=clips), store


@pytest.fixture(scope="module")
def crossed(made, tmp_path_factory):
    manifest, store = made
    out = tmp_path_factory.mktemp("runs") / "cv"
    return cross_validate(manifest, [store], out, QUICK, by="session")


def test_every_clip_is_tested_once_and_the_scores_are_those_of_the_table(crossed):
    out = crossed.pooled.out
    table = pd.read_csv(out / "predictions.csv")
    assert list(table)[:5] == ["id", "dialogue", "split", "fold", "seed"]
    document = json.loads((out / "run.json").read_text())
    for seed, rows in table.groupby("seed"):
        assert sorted(rows["id"]) == sorted(f"c{row}" for row in range(120))
        assert dict(zip(rows["id"], rows["fold"], strict=True)) == {
            f"c{row}": session for row, session in enumerate(SESSIONS)
        }
        found = document["metrics"]["test"]["seeds"][str(seed)]
        assert scores(list(rows["label"]), list(rows["prediction"])) == pytest.approx(found)
        for fold in document["folds"]["each"]:
            part = rows[rows["fold"] == fold["name"]]
            found = fold["metrics"]["label"]["seeds"][str(seed)]
            assert scores(list(part["label"]), list(part["prediction"])) == pytest.approx(found)
    assert document["metrics"]["test"]["mean"]["weighted_f1"] > 0.7
    assert {"kept", "splits"}.isdisjoint(document)
    assert {file.name for file in out.iterdir()} == {
        "run.json", "predictions.csv", "history.csv", "confusion.png",
    }  # fmt: skip


def test_the_table_has_a_row_a_fold(crossed):
    table = crossed.table()
    for word in (
        "one session left out", "s0", "s3", "mean ± std of 4 folds", "95 % interval",
        "all folds together", "val of each fold: cut from its train, whole groups",
    ):  # fmt: skip
        assert word in table


def test_a_fold_is_the_fit_that_a_manifest_with_these_splits_gives(made):
    manifest, store = made
    crossed = cross_validate(manifest, [store], None, LINEAR, by="session")
    fold = crossed.folds[1]
    predicted = fold.scores["label"].probabilities
    tested = set(fold.test.ids)
    assert tested == {f"c{row}" for row in range(30, 60)}
    held_out = {f"c{row}" for row in range(120) if SESSIONS[row] == _val_session(made)}
    split = [
        "test" if clip.id in tested else "val" if clip.id in held_out else "train"
        for clip in manifest.clips
    ]
    clips = [
        dataclasses.replace(clip, split=name)
        for clip, name in zip(manifest.clips, split, strict=True)
    ]
    whole = dataclasses.replace(manifest, clips=tuple(clips))
    alone = fit_head(whole, [store], None, LINEAR).scores["test"].probabilities
    np.testing.assert_array_equal(predicted, alone)


def _val_session(made):
    from emo.heads.data.folds import cut_folds

    manifest, _ = made
    labels = [clip.targets["label"] for clip in manifest.clips]
    rows = cut_folds(manifest.clips, labels, "session", seed=0).folds[1].splits.rows["val"]
    return SESSIONS[rows[0]]


def test_twice_the_same_bits_and_rows_in_another_order_the_same_scores(made, tmp_path):
    manifest, store = made
    one = cross_validate(manifest, [store], tmp_path / "a", LINEAR, by="2")
    two = cross_validate(manifest, [store], tmp_path / "b", LINEAR, by="2")
    for name in ("predictions.csv", "history.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    order = np.random.default_rng(0).permutation(120)
    shuffled = dataclasses.replace(manifest, clips=tuple(manifest.clips[row] for row in order))
    other = cross_validate(shuffled, [store], None, LINEAR, by="2")
    assert other.metrics["mean"] == pytest.approx(one.metrics["mean"], abs=1e-9)
    assert two.metrics == one.metrics


def test_the_labels_of_a_fold_are_scored_once(crossed):
    for fold in crossed.folds:
        with pytest.raises(FitError, match="already scored"):
            fold.test.answers["label"].score(
                np.zeros((1, 30, 3)), seeds=[0], majority=0, bootstrap_seed=None
            )


def test_the_manifests_splits_do_not_count_and_this_is_said(made):
    manifest, store = made
    clips = tuple(
        dataclasses.replace(clip, split="train" if row < 60 else "test")
        for row, clip in enumerate(manifest.clips)
    )
    whole = dataclasses.replace(manifest, clips=clips)
    found = cross_validate(whole, [store], None, QUICK, by="session")
    assert found.metrics["clips"] == 120
    assert "the manifest's splits do not count" in found.table()


def test_whole_dialogues_numbers_and_several_targets(made, tmp_path):
    manifest, store = made
    scores = [f"{(row * 7 % 13) / 4 - 1.5}" for row in range(120)]
    clips = tuple(with_column(manifest.clips, "score", scores))
    options = QUICK.replace(head="dialogue_bilstm", target=("label", "score"), epochs=2, seeds=1)
    whole = dataclasses.replace(manifest, clips=clips)
    found = cross_validate(whole, [store], tmp_path / "run", options, by="3")
    assert "whole dialogues" in found.how
    assert {"predictions-score.csv", "numbers-score.png"} <= {
        file.name for file in (tmp_path / "run").iterdir()
    }
    pooled = found.pooled.all_scores["label"]["test"]
    assert len(set(pooled.groups)) == 20
    assert "mae" in found.pooled.all_metrics["score"]["test"]["mean"]


def test_the_baseline_of_each_clip_is_that_of_its_fold():
    parts = [
        Scores(("x", "y"), (0,), np.full(count, 0), np.zeros((1, count, 2)), majority)
        for count, majority in ((2, 0), (3, 1))
    ]
    pooled = pool_scores(parts)
    assert pooled.majority.tolist() == [0, 0, 1, 1, 1]
    assert pooled.to_json()["majority"]["accuracy"] == 0.4


def test_a_cross_validation_has_no_head_to_predict_from(crossed):
    with pytest.raises(FitError, match="is a cross-validation: it has a head for each fold"):
        Run.load(crossed.pooled.out)


def test_an_error_names_the_fold(made):
    manifest, store = made
    with pytest.raises(FitError, match="--cv label, fold anger"):
        cross_validate(manifest, [store], None, LINEAR, by="label")


def test_dialogues_that_a_split_tells_apart_are_told(made, crossed):
    """Dialogues with the same name in two splits may be different ones, which the run notes."""
    manifest, store = made
    splits = ["train"] * 60 + ["val"] * 60
    clips = tuple(
        dataclasses.replace(clip, split=split, dialogue=f"{split}/d{row % 60 // 6}")
        for row, (clip, split) in enumerate(zip(manifest.clips, splits, strict=True))
    )
    spoken = dataclasses.replace(manifest, clips=clips)
    note = "20 dialogues are told apart by their split (train/d0 …)"
    assert note in cross_validate(spoken, [store], None, QUICK, by="2").table()
    assert note not in crossed.table()
