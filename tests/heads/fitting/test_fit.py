"""Fitting a head on a manifest and a store: scores, printed tables, and errors."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from emo.errors import FitError, OptionError, PluginError
from emo.heads.data.streams import open_sources
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.metrics.classes import CLASS_METRICS
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.run import Run
from tests.heads.conftest import QUICK, SPLITS, quick
from tests.make_batches import make_manifest, make_store


@pytest.mark.parametrize("head", ["linear", "mean_pool", "attention_pool", "bilstm"])
def test_every_head_beats_the_majority_by_far(made, head):
    manifest, store = made
    options = dataclasses.replace(quick(head, solver="lbfgs"), seeds=1)
    found = fit_head(manifest, [store], None, options).metrics["test"]
    assert found["mean"]["weighted_f1"] > 0.7
    assert found["majority"]["weighted_f1"] < 0.2


def test_labels_that_mean_nothing_are_not_learnt(made):
    manifest, store = made
    order = np.random.default_rng(0).permutation(len(manifest.clips))
    clips = tuple(
        dataclasses.replace(clip, targets=manifest.clips[row].targets)
        for clip, row in zip(manifest.clips, order, strict=True)
    )
    options = dataclasses.replace(quick("linear"), seeds=1)
    shuffled = dataclasses.replace(manifest, clips=clips)
    assert fit_head(shuffled, [store], None, options).metrics["test"]["mean"]["uar"] < 0.6


def test_the_table_says_all_that_a_reader_needs(fitted):
    table = fitted.table()
    for text in (
        "mean_pool on fake/a, fake/b -> label", "weighted F1", "macro F1", "UAR", "accuracy",
        "95 % interval", "majority class", "mean ± std over 2 seeds", "classes on test",
        "absent in 2 clips", str(fitted.out),
    ):  # fmt: skip
        assert text in table
    mean = fitted.metrics["test"]["mean"]["weighted_f1"]
    assert any(line.startswith("test") and f"{mean:.3f} ±" in line for line in table.splitlines())


def test_the_same_seed_and_threads_give_the_same_bits(made, fitted, tmp_path):
    manifest, store = made
    again = fit_head(manifest, [store], tmp_path / "again", QUICK)
    for name in ("head.safetensors", "predictions.csv", "history.csv"):
        assert (again.out / name).read_bytes() == (fitted.out / name).read_bytes(), name


@pytest.mark.parametrize("head", ["attention_pool", "linear"])
def test_another_number_of_threads_changes_no_score_by_more_than_1e_4(tmp_path, head):
    random = np.random.default_rng(0)
    labels = [f"class {k}" for k in random.integers(0, 3, 300)]
    tokens = {
        f"c{row}": {"a": (random.standard_normal((random.integers(1, 9), 256))
                          + int(label[-1]) / 9).astype(np.float32)}
        for row, label in enumerate(labels)
    }  # fmt: skip
    splits = [("train", "train", "val", "test")[row % 4] for row in range(300)]
    manifest, store = make_manifest(labels, split=splits), make_store(tmp_path / "store", tokens)
    short = {"epochs": 4} if head != "linear" else {}
    found = [
        fit_head(manifest, [store], None, FitOptions.of(head=head, threads=threads, **short))
        for threads in (1, 2)
    ]
    tables = [each.scores["test"].probabilities for each in found]
    np.testing.assert_allclose(*tables, atol=1e-4 if head != "linear" else 1e-2)  # stops when near
    means = [each.metrics["test"]["mean"] for each in found]
    assert means[0] == pytest.approx(means[1], abs=1e-4)


def test_an_exact_head_is_solved_once_for_all_seeds(made):
    manifest, store = made
    options = dataclasses.replace(quick("linear"), seeds=3)
    result = fit_head(manifest, [store], None, options)
    assert result.metrics["test"]["std"] == dict.fromkeys(CLASS_METRICS, 0.0)
    assert [outcome.seed for outcome in result.outcomes] == [0, 1, 2]
    assert "an exact solution: every seed gives the same" in result.table()


def test_files_of_an_exact_head_hold_one_copy_of_all_seeds(made, tmp_path):
    manifest, store = made
    for seeds in (1, 5):
        options = dataclasses.replace(quick("linear"), seeds=seeds)
        fit_head(manifest, [store], tmp_path / f"fit-{seeds}", options)
        cross_validate(manifest, [store], tmp_path / f"cv-{seeds}", options, by="2")
    for name in ("fit", "cv"):
        for file in ("predictions.csv", "history.csv"):
            one, five = ((tmp_path / f"{name}-{n}" / file).read_bytes() for n in (1, 5))
            assert one == five
    document = json.loads((tmp_path / "fit-5" / "run.json").read_text())
    assert list(document["metrics"]["test"]["seeds"]) == ["0", "1", "2", "3", "4"]
    compared = compare_runs([tmp_path / "fit-1", tmp_path / "fit-5"])
    assert all(found.first == found.second for found in compared.paired.differences.values())


def test_without_test_clips_only_val_is_scored(made):
    manifest, store = made
    clips = tuple(clip for clip in manifest.clips if clip.split != "test")
    result = fit_head(dataclasses.replace(manifest, clips=clips), [store], None, QUICK)
    assert list(result.metrics) == ["train", "val"]
    assert "classes on val" in result.table()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"head": "mean_pol"}, PluginError, "unknown head 'mean_pol'; did you mean 'mean_pool'"),
        ({"head_options": {"hiden": "3"}}, OptionError, "did you mean 'hidden'"),
        ({"streams": ("fake/c",)}, FitError, "unknown stream 'fake/c'; did you mean 'fake/"),
        ({"target": "lable"}, FitError, "unknown target column 'lable'; did you mean 'label'"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(made, options, error, match):
    manifest, store = made
    with pytest.raises(error, match=match):
        fit_head(manifest, [store], None, dataclasses.replace(QUICK, **options))


@pytest.mark.parametrize(
    "options",
    [{"seeds": 0}, {"learning_rate": 0.0}, {"label_smoothing": 1.0}, {"allow_missing": 5.0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError, match=f"{next(iter(options))}: expected"):
        FitOptions.of(**options)


def test_a_bar_is_shown_on_stderr_only_if_asked(made, capsys):
    manifest, store = made
    options = QUICK.replace(seeds=1, epochs=2)
    fit_head(manifest, [store], None, options)
    assert capsys.readouterr() == ("", "")
    fit_head(manifest, [store], None, options, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "val weighted F1" in err


def test_fitting_imports_neither_scikit_learn_nor_torchs_compiler(made, tmp_path):
    _, store = made
    code = f"""
import sys
from pathlib import Path
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.runs.run import Run
from tests.make_batches import learnable, make_manifest
labels, _ = learnable(120)
manifest = make_manifest(labels, split={SPLITS!r})
fit_head(manifest, [Path({str(store)!r})], None, FitOptions.of(epochs=1))
slow = ("sklearn", "torch._dynamo", "matplotlib", "pandas", "scipy")
print([name for name in slow if name in sys.modules])
run = Path({str(tmp_path / "run")!r})
fit_head(manifest, [Path({str(store)!r})], run, FitOptions.of(epochs=1))  # draws pictures, too
Run.load(run)
print([name for name in ("sklearn", "torch._dynamo") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]


def test_an_asked_scaling_goes_with_the_run(made, tmp_path):
    manifest, store = made
    (name,) = [source.name for source in open_sources([store], ())[0]][:1]
    options = dataclasses.replace(QUICK, seeds=1, streams=(name,), scaling={name: "unit*3"})
    result = fit_head(manifest, [store], tmp_path / "run", options)
    lengths = result.data.splits["test"].batch.streams[name].values.norm(dim=1)
    np.testing.assert_allclose(lengths, 3, rtol=1e-5)
    run = Run.load(tmp_path / "run")
    assert run.scalings[name].is_unit
    with pytest.raises(FitError, match=r"--scaling .*=log: expected raw"):
        fit_head(manifest, [store], None, dataclasses.replace(options, scaling={name: "log"}))
    with pytest.raises(FitError, match="stream of --scaling"):
        fit_head(manifest, [store], None, dataclasses.replace(options, scaling={"x/y": "raw"}))


@pytest.mark.parametrize(
    ("head", "changed", "message"),
    [
        ("mean_pool", {"loop": dataclasses.replace(QUICK.loop, refit=True)}, "--refit"),
        (
            "mean_pool",
            {"head_options": {"dropout": "1.5"}},
            "mean_pool.dropout: expected from 0 to below 1; got 1.5",
        ),
        ("svm", {"head_options": {"gamma": "nan"}}, "svm.gamma: expected a finite number"),
    ],
)
def test_a_refused_fit_says_why_and_leaves_no_folder(made, tmp_path, head, changed, message):
    manifest, store = made
    options = dataclasses.replace(QUICK, head=head, **changed)
    with pytest.raises(OptionError, match=message):
        fit_head(manifest, [store], tmp_path / "run", options)
    assert not list(tmp_path.iterdir())
