"""The head at the start: random, or that of a run; its rate, and a frozen head."""

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from emo.cli import app
from emo.errors import FitError
from tests.adapt.conftest import options_of, run_adapt
from tests.adapt.test_resume import train

SOLVED = ("--head", "linear", "-o", "std=no", "-o", "fusion=early", "-o", "penalties=3")


def typed(*words):
    """Run the command in this process."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def features(weights, clips, tmp_path_factory):
    """A store of frozen tokens."""
    out = tmp_path_factory.mktemp("start") / "features"
    typed("extract", clips, "--backbone", "languagebind", "--out", out,
          "-o", f"weights={weights}", "-o", "streams=text", "-o", "stored=float32")  # fmt: skip
    return out


@pytest.fixture(scope="module")
def probe(clips, features):
    """Fit a run on the frozen tokens, once for the same words; returns the folder."""

    def fit(*words):
        out = features.with_name("".join(words).replace("/", "-"))
        if not out.exists():
            typed("fit-head", clips, "--features", features, "--out", out, *words)
        return str(out)

    return fit


def test_the_head_and_scaling_of_a_run_are_the_start(probe, weights, clips, tmp_path):
    run = probe(
        "--head",
        "mean_pool",
        "--epochs",
        "2",
        "-o",
        "hidden=16",
        "--scaling",
        "languagebind/text=unit*5",
    )
    options = options_of(weights, init=run, freeze_head=True, num_train_epochs=1)
    tensors, _ = train(clips, tmp_path / "a", options, has_head=False)
    theirs = load_file(f"{run}/head.safetensors")
    ours = {f"head/{name[5:]}": each for name, each in tensors.items() if name.startswith("head.")}
    assert ours
    assert all(torch.equal(theirs[name], each) for name, each in ours.items())
    options = options_of(weights, init=run, head_learning_rate=0.0, num_train_epochs=1)
    slow, _ = train(clips, tmp_path / "b", options, has_head=False)
    assert all(torch.equal(slow[k], each) for k, each in tensors.items() if k.startswith("head."))
    options = options_of(weights, init=run, num_train_epochs=1)
    found, _ = train(clips, tmp_path / "c", options, has_head=False)
    assert any(not torch.equal(found[k], each) for k, each in tensors.items() if k[:5] == "head.")


def test_a_solved_probe_of_means_is_a_start(probe, weights, clips, tmp_path):
    run = probe(*SOLVED)
    options = options_of(weights, init=run, num_train_epochs=1, learning_rate=0.0)
    report = run_adapt(clips, tmp_path / "out", options, has_head=False)
    adapted, theirs = (
        load_file(f"{folder}/head.safetensors") for folder in (tmp_path / "out/run", run)
    )
    name = "head/linears.0.weight"
    assert torch.equal(adapted[name], theirs[name])
    frozen = report.finished.result.metrics["test"]["mean"]
    assert frozen["weighted_f1"] == pytest.approx(_scores(run)["weighted_f1"])


def test_the_frozen_score_beside_is_that_of_the_run_or_of_the_solved_head(
    probe, weights, clips, tmp_path
):
    run = probe(*SOLVED)
    options = options_of(weights, init=run, max_steps=4, learning_rate=0.3, method="full")
    report = run_adapt(clips, tmp_path / "a", options, has_head=False)
    found = report.finished
    assert found.frozen.metrics["test"]["mean"] == pytest.approx(_scores(run))
    assert found.result.metrics["test"]["mean"] != pytest.approx(_scores(run))
    assert f"frozen: the run of --init, {run}" in report.lines
    own = {"std": "no", "fusion": "early", "penalties": "3", "solver": "adamw"}
    options = options_of(weights, head="linear", head_options=own, max_steps=1)
    report = run_adapt(clips, tmp_path / "b", options)
    assert report.finished.frozen.metrics["test"]["mean"] == pytest.approx(_scores(run))
    assert "frozen: a head linear fitted on the base's tokens, solved exactly" in report.lines


def _scores(run):
    import json
    from pathlib import Path

    return json.loads(Path(run, "run.json").read_text())["metrics"]["test"]["mean"]


def test_runs_that_are_no_start_are_refused(probe, weights, clips, tmp_path):
    run = probe("--head", "linear", "-o", "solver=ridge")
    with pytest.raises(FitError, match="a solved head is a start only if"):
        run_adapt(clips, tmp_path / "a", options_of(weights, init=run), has_head=False)
    with pytest.raises(FitError, match="expected a run of head mean_pool, found one of linear"):
        run_adapt(clips, tmp_path / "b", options_of(weights, init=run))
    run = probe("--head", "mean_pool", "--epochs", "2")
    other = clips.with_name("moved.csv")
    other.write_text(clips.read_text().replace(",test", ",x").replace(",train", ",test").replace(
        ",x", ",train"))  # fmt: skip
    with pytest.raises(FitError, match="of its train are in test here"):
        run_adapt(other, tmp_path / "c", options_of(weights, init=run), has_head=False)
    options = options_of(weights, init=run, backbone_options=(
        f"languagebind.weights={weights}", "languagebind.streams=text"))  # fmt: skip
    with pytest.raises(FitError, match="another recipe made its languagebind/text"):
        run_adapt(clips, tmp_path / "d", options, has_head=False)


def test_a_quick_look_takes_few_clips(weights, clips, tmp_path):
    options = options_of(weights, max_train_samples=6, num_train_epochs=1, max_steps=2)
    report = run_adapt(clips, tmp_path / "out", options)
    splits = report.finished.result.data.splits
    assert {name: len(split.ids) for name, split in splits.items()} == {
        "train": 6, "val": 6, "test": 6,
    }  # fmt: skip


def test_recipes_may_have_any_name(weights, clips, tmp_path):
    """A network is a part of a module, in which some names are taken, and none holds a dot."""
    for name in ("keys", "wav2vec2.0"):
        options = options_of(
            weights, backbones=(f"languagebind:{name}",), max_steps=1, method="full",
            backbone_options=(f"weights={weights}", "streams=text"),
        )  # fmt: skip
        report = run_adapt(clips, tmp_path / name, options)
        assert list(report.finished.result.data.dims) == [f"{name}/text"]
