"""Heads whose training diverges: they are no result, and old runs of such heads are refused."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from emo.errors import FitError
from emo.heads.fitting.fit import fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.options_from_cli import fit_options
from emo.heads.fitting.search import search
from emo.heads.library.mean_pool import MeanPoolHead
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.run import Run
from emo.heads.training.diverged import DivergedError
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from emo.predict.file import predict_manifest
from tests.heads.data.test_folds import with_column
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 60 + ["val"] * 30 + ["test"] * 30


def options(**given):
    given = {"head": "mean_pool", "epochs": 3, "threads": 1, **given}
    return fit_options(given, targets=(), tasks=(), weights=(), option=())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diverged")
    labels, tokens = learnable(120)
    manifest = make_manifest(labels, split=SPLITS)
    points = [f"{len(label) / 2 - row % 3 / 4:.2f}" for row, label in enumerate(labels)]
    manifest = dataclasses.replace(
        manifest, clips=tuple(with_column(manifest.clips, "points", points))
    )
    (folder / "new.csv").write_text("id,text\nc0,x\nc1,x\n")
    (folder / "gold.csv").write_text(
        "id,label\n" + "".join(f"c{row},{labels[row]}\n" for row in range(90, 120))
    )
    return folder, manifest, make_store(folder / "features", tokens)


@pytest.mark.parametrize("target", ["label", "points"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_run_is_written_when_every_seed_diverges(made, tmp_path, target, seeds):
    _, manifest, store = made
    asked = dataclasses.replace(options(learning_rate=1e8, seeds=seeds), target=target)
    with pytest.raises(FitError) as refused:
        fit_head(manifest, [store], tmp_path / "run", asked)
    message = str(refused.value)
    assert "seed 0 diverged in epoch 1 (learning rate 1e+08): the loss on val is nan" in message
    assert ("so did 2 other seeds" in message) == (seeds == 3)
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


@pytest.fixture
def second_diverges(monkeypatch):
    """Heads of seed 1 whose logits are not finite after their first epoch."""
    forward = MeanPoolHead.forward

    def broken(self, batch):
        found = forward(self, batch)
        if torch.initial_seed() == 1 and not self.training:
            return {name: logits * math.inf for name, logits in found.items()}
        return found

    monkeypatch.setattr(MeanPoolHead, "forward", broken)


def test_a_seed_that_diverges_is_left_out_with_a_line(made, second_diverges, tmp_path):
    _, manifest, store = made
    result = fit_head(manifest, [store], tmp_path / "run", options(seeds=3))
    assert [outcome.seed for outcome in result.outcomes] == [0, 2]
    assert list(result.metrics["test"]["seeds"]) == ["0", "2"]
    (note,) = (note for note in result.notes if "diverged" in note)
    assert note == (
        "seed 1 diverged in epoch 1 (learning rate 0.001): the loss on val is nan: left out"
    )
    assert "mean ± std over 2 seeds" in result.table()
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert set(table["seed"]) == {0, 2}


def test_a_seed_that_diverges_in_one_fold_counts_in_none(made, monkeypatch, tmp_path):
    _, manifest, store = made
    trained = []

    def train(*args, seed, **more):
        trained.append(seed)
        if seed == 1 and trained.count(1) == 2:
            raise DivergedError("seed 1 diverged in epoch 2 (learning rate 9): the loss is nan")
        return train_head(*args, seed=seed, **more)

    monkeypatch.setattr("emo.heads.fitting.seeds.train_head", train)
    result = cross_validate(manifest, [store], tmp_path / "cv", options(seeds=2), by="3")
    assert list(result.metrics["seeds"]) == ["0"]
    assert all(list(fold.metrics_of("label")["seeds"]) == ["0"] for fold in result.folds)
    assert set(pd.read_csv(tmp_path / "cv" / "predictions.csv")["seed"]) == {0}
    assert any(
        note.startswith("fold 2: seed 1 diverged in epoch 2") for note in result.pooled.notes
    )


def test_a_fold_whose_seeds_all_diverge_is_named(made):
    _, manifest, store = made
    with pytest.raises(DivergedError, match="--cv 3, fold 1: no head could be trained: seed 0"):
        cross_validate(manifest, [store], None, options(learning_rate=1e8), by="3")


def test_weights_that_are_not_finite_stop_a_seed(made, monkeypatch):
    _, manifest, store = made

    def breaking(head, val):
        found = logits_of(head, val)
        next(head.parameters()).data.view(-1)[0] = math.inf
        return found

    monkeypatch.setattr("emo.heads.training.rounds.logits_of", breaking)
    with pytest.raises(DivergedError, match=r"weights of .* are not finite"):
        fit_head(manifest, [store], None, options())


def test_outputs_that_are_not_finite_stop_a_seed(made, monkeypatch):
    _, manifest, store = made
    monkeypatch.setattr(
        "emo.heads.fitting.seeds.outputs_of",
        lambda head, batch, targets, **_: {"label": np.full((len(batch), 3), np.nan, np.float32)},
    )
    with pytest.raises(DivergedError, match="outputs of label are not finite for 60 of 60 rows"):
        fit_head(manifest, [store], None, options())


def test_a_search_goes_on_without_trials_that_diverge(made, monkeypatch):
    from emo.heads.data.data import read_data

    _, manifest, store = made
    data = read_data(manifest, [store], options())
    asked = options(search=6)
    monkeypatch.setattr("emo.heads.fitting.draw_trials.RATES", {"learning_rate": (1e-3, 1e8)})
    found = search(MeanPoolHead, data, asked, journal=None, progress=False)
    scores = found.table["val_score"]
    assert np.isneginf(scores).any()
    assert np.isfinite(scores).any()
    assert f"; {np.isneginf(scores).sum()} trials diverged" in found.note
    monkeypatch.setattr("emo.heads.fitting.draw_trials.RATES", {"learning_rate": (1e7, 1e8)})
    with pytest.raises(FitError, match="all 6 trials diverged"):
        search(MeanPoolHead, data, asked, journal=None, progress=False)


@pytest.fixture(scope="module")
def old_runs(made, tmp_path_factory):
    """Runs as they were written before diverged seeds were stopped, and a good one of each."""
    _, manifest, store = made
    folder = tmp_path_factory.mktemp("old")
    for target, columns in (("label", ["p_anger", "p_calm", "p_joy"]), ("points", ["prediction"])):
        asked = dataclasses.replace(options(), target=target)
        fit_head(manifest, [store], folder / target, asked)
        bad = folder / f"{target}-bad"
        shutil.copytree(folder / target, bad)
        table = pd.read_csv(bad / "predictions.csv")
        table[columns] = np.nan
        table.to_csv(bad / "predictions.csv", index=False)
        document = json.loads((bad / "run.json").read_text())
        if target == "points":
            document["metrics"]["test"]["mean"]["mae"] = math.nan
        (bad / "run.json").write_text(json.dumps(document))
        weights = load_file(bad / "head.safetensors")
        name = next(name for name in weights if name.startswith("head/"))
        weights[name] = weights[name] * math.nan
        save_file(weights, bad / "head.safetensors")
    return folder


@pytest.mark.parametrize("target", ["label", "points"])
def test_old_runs_of_diverged_heads_are_refused_by_name(made, old_runs, emo, target):
    folder, _, _ = made
    bad, good = old_runs / f"{target}-bad", old_runs / target
    for runs in ([bad, good], [good, bad], [bad]):
        with pytest.raises(FitError, match=f"{target}-bad/predictions.csv: .* not finite"):
            compare_runs(runs)
    with pytest.raises(FitError, match=f"{target}-bad: training of its head diverged"):
        predict_manifest(
            bad, folder / "new.csv", folder / "features", folder / "o.csv", columns={}, root=None
        )
    with pytest.raises(FitError, match="training of its head diverged"):
        Run.load(bad)


def test_scores_of_probabilities_that_are_not_finite_are_refused(made, old_runs, emo, tmp_path):
    folder, _, _ = made
    code, out, err = emo("score", old_runs / "label-bad", "--gold", folder / "gold.csv")
    assert (code, out) == (1, "")
    assert "label-bad/predictions.csv: 120 of 120 probabilities in column p_anger" in err
    rows = pd.read_csv(old_runs / "label-bad" / "predictions.csv")
    rows = rows[rows["split"] == "test"][["id", "prediction", "p_anger"]].assign(p_note="")
    for value, said in ((np.inf, 1), (0.5, 0)):
        rows.assign(p_anger=value).to_csv(tmp_path / "file.csv", index=False)
        code, out, err = emo("score", tmp_path / "file.csv", "--gold", folder / "gold.csv")
        assert code == said
        assert ("file.csv: 30 of 30 probabilities in column p_anger" in err) == bool(said)


def test_predictions_that_are_not_finite_are_refused(made, old_runs, monkeypatch):
    run = Run.load(old_runs / "label")
    folder, _, _ = made
    monkeypatch.setattr(
        "emo.heads.runs.run.outputs_of",
        lambda head, batch, targets: {"label": np.full((len(batch), 3), np.nan, np.float32)},
    )
    with pytest.raises(FitError, match="label: the head's outputs of label are not finite for 2"):
        predict_manifest(
            run.path, folder / "new.csv", folder / "features", folder / "o.csv", columns={},
            root=None,
        )  # fmt: skip
