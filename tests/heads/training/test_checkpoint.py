"""Checkpoints: a killed fit continues, with the same bits as one that was not killed."""

import dataclasses
import os
import resource
import signal

import numpy as np
import pytest
import torch

from emo.errors import FitError
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.training import checkpoint
from emo.heads.training.outcome import Outcome, Round
from tests.make_batches import learnable, make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = ["train"] * 40 + ["val"] * 20 + ["test"] * 20
STEPPED = FitOptions.of(
    head="mean_pool", seeds=3, epochs=6, batch_size=16, warmup=0.2, decay="cosine", mixup=0.5,
    modality_dropout=0.3, accumulate=2, patience=3, threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(80, streams=("a", "b"))
    store = make_store(tmp_path_factory.mktemp("checkpoint") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """A fit that nothing killed."""
    manifest, store = made
    return fit_head(manifest, [store], tmp_path_factory.mktemp("whole") / "run", STEPPED)


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)


def killed_after(writes, fit):
    """Run ``fit`` in a process of its own that is killed at its n-th write of a checkpoint."""
    child = os.fork()
    if child == 0:
        real, seen = checkpoint.Checkpoints._write, []

        def write(self, *words):
            real(self, *words)
            seen.append(1)
            if len(seen) == writes:
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.Checkpoints._write = write
        try:
            fit()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def same(ours, theirs):
    for one, other in zip(ours.outcomes, theirs.outcomes, strict=True):
        assert one.history == other.history
        assert one.state.keys() == other.state.keys()
        assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    for split, scores in ours.scores.items():
        np.testing.assert_array_equal(scores.probabilities, theirs.scores[split].probabilities)


@pytest.mark.parametrize("writes", [1, 9])
def test_a_killed_fit_ends_with_the_same_bits(made, whole, tmp_path, writes):
    manifest, store = made
    options = STEPPED
    out = tmp_path / "cut"
    assert killed_after(writes, lambda: fit_head(manifest, [store], out, options))
    assert not out.exists()
    found = fit_head(manifest, [store], out, options, resume=True, progress=False)
    same(found, whole)
    ours, theirs = ((each / "predictions.csv").read_bytes() for each in (out, whole.out))
    assert ours == theirs
    assert not list(tmp_path.glob(".*.fit"))


def test_running_statistics_go_on_too(made, tmp_path):
    manifest, store = made
    small = {"frames": "4", "hidden": "4"}
    options = STEPPED.replace(
        head="spectrogram_cnn", head_options=small, seeds=1, epochs=2, batch_size=40
    )
    whole = fit_head(manifest, [store], None, options)
    assert any("running_mean" in name for name in whole.best.state)
    assert killed_after(1, lambda: fit_head(manifest, [store], tmp_path / "cut", options))
    same(fit_head(manifest, [store], tmp_path / "cut", options, resume=True), whole)


def test_what_was_finished_is_not_trained_again(made, whole, tmp_path, monkeypatch):
    manifest, store = made
    out = tmp_path / "run"
    epochs = [len(outcome.history) for outcome in whole.outcomes]
    assert killed_after(epochs[0] + 1, lambda: fit_head(manifest, [store], out, STEPPED))
    from emo.heads.training.steps import Steps

    real, run = Steps.epoch, []
    monkeypatch.setattr(Steps, "epoch", lambda self: run.append(1) or real(self))
    same(fit_head(manifest, [store], out, STEPPED, resume=True), whole)
    assert len(run) == sum(epochs[1:])


def test_another_question_is_refused_and_named(made, tmp_path):
    manifest, store = made
    out = tmp_path / "run"
    killed_after(2, lambda: fit_head(manifest, [store], out, STEPPED))
    other = STEPPED.replace(learning_rate=0.01)
    with pytest.raises(FitError, match=r"learning_rate was 0.001, now 0.01"):
        fit_head(manifest, [store], out, other, resume=True)
    fewer = dataclasses.replace(manifest, clips=manifest.clips[2:])
    with pytest.raises(FitError, match="other clips"):
        fit_head(fewer, [store], out, STEPPED, resume=True)
    words = [clip.targets["label"] for clip in manifest.clips[1:]]
    relabelled = make_manifest([*words, "anger"], split=SPLITS)
    with pytest.raises(FitError, match="other options or clips: other labels"):
        fit_head(relabelled, [store], out, STEPPED, resume=True)
    again = fit_head(manifest, [store], out, other)  # anew
    same(again, fit_head(manifest, [store], None, other))


def test_more_seeds_are_the_same_question(made, tmp_path):
    manifest, store = made
    out = tmp_path / "run"
    killed_after(3, lambda: fit_head(manifest, [store], out, STEPPED))
    more = dataclasses.replace(STEPPED, seeds=4)
    same(
        fit_head(manifest, [store], out, more, resume=True),
        fit_head(manifest, [store], None, more),
    )


def test_a_killed_cross_validation_goes_on(made, tmp_path):
    manifest, store = made
    options = STEPPED.replace(seeds=1, epochs=3)
    whole = cross_validate(manifest, [store], None, options, by="3")
    out = tmp_path / "folds"
    cut = lambda: cross_validate(manifest, [store], out, options, by="3")  # noqa: E731
    assert killed_after(6, cut)
    found = cross_validate(manifest, [store], out, options, by="3", resume=True)
    for ours, theirs in zip(found.folds, whole.folds, strict=True):
        np.testing.assert_array_equal(
            ours.scores["label"].probabilities, theirs.scores["label"].probabilities
        )
    assert not list(tmp_path.glob(".*.fit"))


def test_a_damaged_checkpoint_is_named(made, tmp_path):
    manifest, store = made
    out = tmp_path / "run"
    killed_after(2, lambda: fit_head(manifest, [store], out, STEPPED))
    (damaged,) = (tmp_path / ".run.fit").glob("running-*.safetensors")
    damaged.write_bytes(b"torn")
    with pytest.raises(FitError, match=r"running-0.safetensors: damaged"):
        fit_head(manifest, [store], out, STEPPED, resume=True)


ROUND = Round(0, 1, 0.0, 0.0, 0.0, True)


def outcome_of(size):
    return Outcome(0, {"weight": torch.zeros(size)}, (ROUND,), is_exact=False)


def test_two_fits_of_one_out_never_take_each_others_heads(tmp_path):
    one = checkpoint.open_checkpoints(tmp_path / "fit", {"rate": 1}, resume=False)
    two = checkpoint.open_checkpoints(tmp_path / "fit", {"rate": 2}, resume=False)
    one.write_finished(outcome_of(3))
    assert one.read_finished(0) is not None
    for reader in (two, checkpoint.open_checkpoints(tmp_path / "fit", {"rate": 2}, resume=True)):
        with pytest.raises(
            FitError, match=r"finished-0.safetensors was written by a fit with other options"
        ):
            reader.read_finished(0)


def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path):
    kept = checkpoint.open_checkpoints(tmp_path / "fit", {"rate": 1}, resume=False)
    kept.write_finished(outcome_of(3))
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(FitError, match=r"finished-0.safetensors cannot be written"):
            kept.write_finished(outcome_of(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert len(kept.read_finished(0).state["weight"]) == 3
    names = {path.name for path in (tmp_path / "fit").iterdir()}
    assert names == {"question.json", "finished-0.safetensors"}


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done, sync, rename = [], os.fsync, os.replace

    def synced(handle):
        done.append(os.fstat(handle).st_ino)
        sync(handle)

    def renamed(part, path):
        assert os.stat(part).st_ino in done
        rename(part, path)
        done.append(path.name)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    folder = tmp_path / "fit"
    checkpoint.open_checkpoints(folder, {"rate": 1}, resume=False).write_finished(outcome_of(3))
    assert [name for name in done if isinstance(name, str)] == [
        "question.json", "finished-0.safetensors",
    ]  # fmt: skip
    assert done[-1] == folder.stat().st_ino  # and so is the name


def test_a_damaged_question_is_named(tmp_path):
    checkpoint.open_checkpoints(tmp_path / "fit", {"rate": 1}, resume=False)
    (tmp_path / "fit" / "question.json").write_text("")
    with pytest.raises(FitError, match=r"question.json: damaged.*without --resume"):
        checkpoint.open_checkpoints(tmp_path / "fit", {"rate": 1}, resume=True)


def test_writes_are_seconds_apart(made, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 60.0)
    manifest, store = made
    times = []
    real = checkpoint.Checkpoints._write
    monkeypatch.setattr(
        checkpoint.Checkpoints, "_write",
        lambda self, name, *more: times.append(name) or real(self, name, *more),
    )  # fmt: skip
    fit_head(manifest, [store], tmp_path / "run", STEPPED)
    assert [name for name in times if name.startswith("running")] == [
        f"running-{seed}" for seed in range(3)
    ]


def test_a_resume_that_finds_nothing_says_so(made, tmp_path):
    manifest, store = made
    note = "no interrupted fit had left anything here"
    first = fit_head(manifest, [store], tmp_path / "run", STEPPED)
    again = fit_head(manifest, [store], tmp_path / "run", STEPPED, resume=True)
    assert note not in first.table()
    assert note in again.table()


def test_a_fit_of_another_version_is_not_gone_on_with(tmp_path, monkeypatch):
    question = {"head": "mean_pool"}
    checkpoint.open_checkpoints(tmp_path / "fit", question, resume=False)
    checkpoint.open_checkpoints(tmp_path / "fit", question, resume=True)
    monkeypatch.setattr("emo.__version__", "9.0")
    with pytest.raises(FitError, match=r"begun by emo [\d.]+, this is emo 9.0, and seeds of both"):
        checkpoint.open_checkpoints(tmp_path / "fit", question, resume=True)
    (tmp_path / "fit" / "question.json").write_text('{"head": "mean_pool"}')  # as 0.1 wrote it
    with pytest.raises(FitError, match=r"begun by emo 0.1, .* Start again without --resume"):
        checkpoint.open_checkpoints(tmp_path / "fit", question, resume=True)
