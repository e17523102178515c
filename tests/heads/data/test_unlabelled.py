"""Splits without labels, empty cells, and folds with a part of the numbers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from emo.errors import FitError, OptionError
from emo.heads.data.data import read_data
from emo.heads.data.splits import assign_splits
from emo.heads.data.targets import strata_of
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.head import Batch
from emo.heads.metrics.classes import bootstrap_classes
from emo.heads.metrics.measures import resampled
from emo.heads.metrics.numbers import regression_scores
from emo.heads.options import LoopOptions
from emo.heads.runs.files import predictions_file
from emo.heads.training.losses import make_loss
from tests.make_batches import learnable, make_batch, make_head, make_manifest, make_store

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
QUICK = FitOptions.of(head="mean_pool", epochs=1, threads=1)
PAIRS = dataclasses.replace(QUICK, head="dialogue_bilstm", target="cause", tasks={"cause": "pairs"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80)
    return labels, make_store(tmp_path_factory.mktemp("unlabelled") / "features", tokens)


def manifest_of(labels, columns, **fields):
    """Add columns of targets to the clips; an empty cell adds nothing."""
    manifest = make_manifest(labels, **fields)
    clips = [
        dataclasses.replace(
            clip,
            targets=clip.targets
            | {name: cells[row] for name, cells in columns.items() if cells[row]},
        )
        for row, clip in enumerate(manifest.clips)
    ]
    return dataclasses.replace(manifest, clips=tuple(clips))


def spoken(labels, causes, *, split=None, turns=True):
    """Dialogues of five turns with causes."""
    fields = {"dialogue": [f"d{row // 5}" for row in range(len(labels))]}
    if turns:
        fields["turn"] = [row % 5 for row in range(len(labels))]
    if split is not None:
        fields["split"] = split
    return manifest_of(labels, {"cause": causes}, **fields)


def causes_of(dialogues, *, first=0):
    """Each turn from the ``first`` on causes itself in these dialogues; in the others none does."""
    turns = [(row // 5, row % 5) for row in range(80)]
    return [
        str(turn) if dialogue in dialogues and turn >= first else "" for dialogue, turn in turns
    ]


@pytest.mark.parametrize("none", ["", "none"])
def test_a_dialogue_without_causes_is_scored_in_its_fold(made, none):
    labels, store = made
    cells = [cell or none for cell in causes_of([0, 1, 3, 4], first=2)]
    result = cross_validate(spoken(labels[:30], cells), [store], None, PAIRS, by="dialogue")
    assert result.metrics["clips"] == 6 * 25


def test_pairs_of_a_split_that_nobody_annotated_are_not_scored_in_any_fold(made):
    labels, store = made
    splits = ["train"] * 25 + ["test"] * 10
    manifest = spoken(labels[:35], causes_of([0, 1, 3, 4], first=2), split=splits)
    result = cross_validate(manifest, [store], None, PAIRS, by="dialogue")
    assert result.metrics["clips"] == 5 * 25


@pytest.mark.parametrize(
    ("column", "task", "cells"),
    [
        ("points", "regress", ("-1.5", "0.25", "2.0")),
        ("tags", "multilabel", ("loud", "none", "loud|kind")),
        ("other", "classify", ("x", "y", "z")),
    ],
)
def test_a_target_that_test_lacks_is_left_out_there_and_said(made, tmp_path, column, task, cells):
    labels, store = made
    known = [cells[row % 3] if split != "test" else "" for row, split in enumerate(SPLITS)]
    manifest = manifest_of(labels, {column: known}, split=SPLITS)
    options = dataclasses.replace(QUICK, target=("label", column), tasks={column: task})
    result = fit_head(manifest, [store], tmp_path / "run", options)
    assert list(result.all_metrics["label"]) == ["train", "val", "test"]
    assert list(result.all_metrics[column]) == ["train", "val"]
    assert f"test: no {column} is known: not scored on it" in result.data.notes
    assert column in result.table()


def test_causes_that_test_lacks_end_no_fit(made, tmp_path):
    labels, store = made
    cells = [cell if row < 60 else "" for row, cell in enumerate(causes_of(range(16)))]
    manifest = spoken(labels, cells, split=SPLITS)
    result = fit_head(manifest, [store], tmp_path / "run", PAIRS)
    assert list(result.metrics) == ["train", "val"]
    assert len(result.data.splits["test"].ids) == 20  # they are predicted all the same


def test_val_without_a_label_is_refused(made):
    labels, store = made
    cells = [cell if not 40 <= row < 60 else "" for row, cell in enumerate(causes_of(range(16)))]
    with pytest.raises(FitError, match="split val has no label of cause"):
        fit_head(spoken(labels, cells, split=SPLITS), [store], None, PAIRS)


def test_val_is_cut_from_numbers_that_are_mostly_zero(made):
    labels, store = made
    points = ["0.0" if row % 5 else f"{0.5 + row / 100:.2f}" for row in range(80)]
    manifest = manifest_of(labels, {"points": points})
    options = dataclasses.replace(QUICK, target="points")
    assert {"val", "test"} <= set(fit_head(manifest, [store], None, options).metrics)
    assert cross_validate(manifest, [store], None, options, by="4").metrics["clips"] == 80


def test_val_is_cut_where_every_turn_has_a_cause(made):
    labels, store = made
    splits = read_data(spoken(labels, causes_of(range(16))), [store], PAIRS, unit="dialogue").splits
    assert set(splits) == {"train", "val", "test"}


def test_too_few_clips_for_a_val_are_an_error():
    clips = make_manifest(["a"]).clips
    with pytest.raises(
        FitError, match="no clip of train can be held out for test: it has only 1 clip"
    ):
        assign_splits(clips, ["0"], seed=0, are_classes=False)


def test_the_smallest_number_has_a_stratum_of_its_own_where_it_is_common():
    assert strata_of("regress", ["0", "0", "0", "1", "2", None]) == ["0", "0", "0", "2", "3", ""]


def test_all_folds_of_numbers_have_the_corpus_scale(made):
    labels, store = made
    points = [f"{(row % 7 - 3) * 0.3:.2f}" for row in range(80)]
    points[3] = "2.5"  # alone in its fold, of which train stays within 1
    manifest = manifest_of(labels, {"points": points}, speaker=[f"s{r // 20}" for r in range(80)])
    options = dataclasses.replace(QUICK, target="points")
    result = cross_validate(manifest, [store], None, options, by="speaker")
    assert "accuracy_7" in result.metrics["mean"]
    assert "Acc-7" in result.table()
    table = result.prediction_frame(result.pooled.data.targets[0])
    error = (table["label"] - table["prediction"]).abs().mean()
    assert error == pytest.approx(result.metrics["mean"]["mae"], abs=1e-5)


def test_turns_keep_their_numbers_when_one_has_no_features(tmp_path):
    labels, tokens = learnable(80)
    del tokens["c0"]
    store = make_store(tmp_path / "features", tokens)
    manifest = spoken(labels, causes_of(range(16)), split=SPLITS, turns=False)
    options = dataclasses.replace(PAIRS, allow_missing=0.1)
    data = read_data(manifest, [store], options, unit="dialogue")
    train = data.splits["train"]
    learnt = train.batch.targets["cause"].numpy()
    gold = [(train.ids[e], train.ids[c]) for e, c in train.batch.pairs[learnt == 1].tolist()]
    assert gold == [(clip_id, clip_id) for clip_id in train.ids]


def test_a_class_whose_rows_are_all_lost_has_a_weight():
    batch = Batch({}, targets={"cause": torch.tensor([0, 0, 1])})
    loss = make_loss(batch, LoopOptions(class_weights=True))
    found = loss({"cause": torch.zeros(3, 3)}, batch.targets)
    assert found.item() == pytest.approx(np.log(3))


def test_only_none_is_no_multilabel(made):
    labels, store = made
    manifest = manifest_of(labels, {"tags": ["none"] * 80}, split=SPLITS)
    options = dataclasses.replace(QUICK, target="tags", tasks={"tags": "multilabel"})
    with pytest.raises(FitError, match="no clip of any class of tags"):
        fit_head(manifest, [store], None, options)


def test_one_clip_left_over_in_a_batch_of_spectrograms_is_learnt():
    batch = make_batch({"f/mel": [5]}, width=8)
    head = make_head("spectrogram_cnn", batch, frames=16)
    assert head.train()(batch)["emotion"].isfinite().all()


def test_two_targets_never_share_a_file():
    names = {predictions_file(name, is_first=False) for name in ("a b", "a_b", "a/b", "A")}
    assert len(names) == 4
    assert all("/" not in name for name in names)


def test_the_current_folder_is_no_run(made):
    labels, store = made
    with pytest.raises(OptionError, match="expected a folder for this run alone"):
        fit_head(make_manifest(labels, split=SPLITS), [store], Path(), QUICK)


def test_a_number_on_an_edge_of_sims_is_in_the_class_below_as_in_the_source():
    gold = np.float32([0.1, 0.7, -0.7, -0.1])
    found = regression_scores(gold, np.array([0.05, 0.5, -0.9, -0.5]), "sims")
    assert found["accuracy_5"] == 1.0


def test_intervals_of_many_clips_draw_a_few_at_a_time(monkeypatch):
    random = np.random.default_rng(0)
    gold, predicted = random.integers(0, 3, 501), random.integers(0, 3, (2, 501))
    whole = bootstrap_classes(gold, predicted, 3, seed=7)
    monkeypatch.setattr("emo.heads.metrics.classes.DRAWN_CELLS", 5000)
    assert bootstrap_classes(gold, predicted, 3, seed=7) == whole


def test_numbers_of_one_dialogue_are_drawn_together():
    gold = np.repeat(np.random.default_rng(0).normal(size=10), 20)
    error = np.repeat(np.random.default_rng(1).normal(size=10), 20)  # alike within a dialogue
    drawn = {"classes": 1, "scale": "any", "seed": 0}
    groups = np.repeat(np.arange(10), 20)
    together = resampled("regress", gold, (gold + error)[None], groups=groups, **drawn)["mae"]
    apart = resampled("regress", gold, (gold + error)[None], groups=None, **drawn)["mae"]
    assert together.std() > 2 * apart.std()
