"""Runs from Python: their frames against run.json and the files; heads of a cell."""

import json
import os
import shlex

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import emo
from emo.plugins import NoOptions
from tests.make_batches import learnable, make_store

QUICK = {"head": "linear", "head_options": {"solver": "ridge", "penalties": 3, "fusion": "late"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips with two targets, their store, and a run of `linear`."""
    folder = tmp_path_factory.mktemp("api")
    labels, tokens = learnable(60, streams=("a", "b"))
    make_store(folder / "s", tokens)
    frame = pd.DataFrame(
        {"id": [f"c{k}" for k in range(60)], "text": "x", "label": labels,
         "level": np.linspace(0, 1, 60), "speaker": [f"s{k % 5}" for k in range(60)]}
    )  # fmt: skip
    frame.to_csv(folder / "m.csv", index=False)
    run = emo.fit(frame, folder / "s", targets=["label", "level"], out=folder / "r", **QUICK)
    return folder, frame, run


def test_scores_are_those_of_run_json(made):
    folder, _, run = made
    document = json.loads((folder / "r" / "run.json").read_text())
    scores = run.scores.set_index(["split", "score"])
    for split, found in document["metrics"].items():
        for name, mean in found["mean"].items():
            assert scores.loc[(split, name), "mean"] == mean
            interval = found["interval"].get(name)
            assert interval is None or list(scores.loc[(split, name), ["low", "high"]]) == interval
    assert set(run.scores_of("level")["score"]) >= {"pearson"} or len(run.scores_of("level"))
    assert set(run.by_class["class"]) == set(run.classes)


def test_predictions_and_confusion_agree(made):
    _, frame, run = made
    found = run.predictions
    truth = frame.set_index("id")["label"]
    assert (found["label"] == truth.loc[found["id"]].to_numpy()).all()
    counts = run.confusion_of(split="test")
    rows = found[found["split"] == "test"]
    assert counts.to_numpy().sum() == len(rows)
    assert np.trace(counts.to_numpy()) == (rows["label"] == rows["prediction"]).sum()
    shares = run.confusion_of(split="test", normalize="true").sum(axis=1)
    assert np.allclose(shares[counts.sum(axis=1) > 0], 1)
    with pytest.raises(emo.EmoError, match="no confusion"):
        run.confusion_of("level")
    with pytest.raises(emo.EmoError, match="did you mean 'level'"):
        run.scores_of("levle")


def test_plots_return_axes(made):
    import matplotlib

    matplotlib.use("agg")
    _, _, run = made
    ax = run.plot.confusion(normalize="true")
    assert [t.get_text() for t in ax.get_xticklabels()] == run.classes
    with pytest.raises(emo.EmoError, match="single round"):
        run.plot.curves()  # one penalty for each of two streams
    one = emo.fit(made[1], made[0] / "s", streams=["fake/a"], **QUICK)
    assert one.plot.curves().get_ylabel().startswith("val_")


def test_a_run_without_a_folder_lives_as_long_as_its_result(made):
    folder, frame, _ = made
    run = emo.fit(frame, str(folder / "s"), head="mean_pool", epochs=1, streams="fake/a")
    path = run.path
    assert path.is_dir()
    assert list(run.document["streams"]) == ["fake/a"]
    del run
    assert not path.exists()


def test_the_command_of_a_run_makes_the_same_run(made):
    folder, _, run = made
    line = run.command.splitlines()[-1]
    words = shlex.split(line.replace(os.path.abspath("DataFrame"), str(folder / "m.csv")))
    assert words[:2] == ["emo", "fit-head"]
    from typer.testing import CliRunner

    from emo.cli import app

    result = CliRunner().invoke(app, [*words[1:], "--out", str(folder / "again")])
    assert result.exit_code == 0, result.output
    again = emo.load_run(folder / "again")
    pd.testing.assert_frame_equal(again.scores, run.scores)
    pd.testing.assert_frame_equal(again.predictions, run.predictions)


def head_of_a_cell(factor=1):
    class Means(emo.Head):
        Options = NoOptions

        def __init__(self, dims, classes, *, options):
            super().__init__(dims, classes, options=options)
            self.classes = dict(classes)
            self.linear = nn.Linear(sum(dims.values()), sum(classes.values()))

        def forward(self, batch):
            means = [
                torch.stack([clip.sum(0) / max(len(clip), 1) for clip in batch.streams[name]])
                for name in self.streams
            ]
            logits = factor * self.linear(torch.cat(means, dim=1))
            return dict(
                zip(self.classes, logits.split([*self.classes.values()], dim=1), strict=True)
            )

    return Means


def test_a_head_of_a_cell_trains_with_several_seeds_and_predicts_with_consent(made, monkeypatch):
    from emo import plugins

    folder, frame, _ = made
    kind = head_of_a_cell()
    run = emo.fit(frame, folder / "s", head=kind, seeds=3, epochs=3, out=folder / "own")
    assert run.scores["seeds"].eq(3).all()
    predicted = run.predict(frame, features=folder / "s")
    assert len(predicted) == 60
    plugins.forget_trust()
    monkeypatch.setattr(plugins, "_lent", {})
    with pytest.raises(emo.EmoError, match="code of its own"):
        emo.load_run(folder / "own").predict(frame, features=folder / "s")
    again = emo.load_run(folder / "own", head=kind).predict(frame, features=folder / "s")
    pd.testing.assert_frame_equal(again, predicted)
    with pytest.raises(emo.EmoError, match="its head is"):
        emo.load_run(made[2].path, head=kind)
    edited = head_of_a_cell(-1)
    with pytest.raises(emo.EmoError, match="Means, was edited"):
        emo.load_run(folder / "own", head=edited)
    plugins.lend(edited)
    report = emo.rerun(folder / "own", clips=frame, out=folder / "own2")
    assert report.differences == ("the head's code: edited since the earlier run",)
    assert "scores: different, by up to" in report.table()


def test_prediction_of_clips_equals_the_commands(made, tmp_path):
    folder, frame, run = made
    frames = [
        run.predict(clips, features=emo.Store(folder / "s"))
        for clips in (frame, emo.read_manifest(folder / "m.csv"), str(folder / "m.csv"))
    ]
    for found in frames[1:]:
        pd.testing.assert_frame_equal(found, frames[0])
    from emo.predict.file import predict_manifest

    predict_manifest(run.path, folder / "m.csv", str(folder / "s"), tmp_path / "p.csv",
                     columns={}, root=None)  # fmt: skip
    written = pd.read_csv(tmp_path / "p.csv")
    assert (written["prediction"] == frames[0]["prediction"]).all()
    assert np.allclose(written.filter(like="p_"), frames[0].filter(like="p_"), atol=1e-6)


def test_cross_validation_tests_every_clip_once(made):
    folder, frame, _ = made
    run = emo.cross_validate(frame, folder / "s", by="speaker", streams=["fake/a"], **QUICK)
    assert sorted(run.predictions["id"]) == sorted(frame["id"])
    assert run.scores["clips"].eq(60).all()


def test_ranked_runs_and_official_scores(made):
    folder, frame, run = made
    other = emo.fit(frame, folder / "s", head="mean_pool", epochs=2, out=folder / "other")
    ranked = emo.compare([run, str(other.path)])
    assert len(ranked.frame) == 2
    assert "interval" in repr(ranked)
    report = emo.score_predictions(run, folder / "m.csv")
    assert not report.exit_code


def test_options_that_do_not_exist_and_runs_that_do(made, tmp_path):
    folder, frame, _ = made
    with pytest.raises(TypeError, match="did you mean 'epochs'"):
        emo.fit(frame, folder / "s", epoch=3)
    with pytest.raises(emo.EmoError, match="holds a run"):
        emo.fit(frame, folder / "s", out=folder / "r")
    with pytest.raises(emo.EmoError, match="no run folder"):
        emo.load_run(tmp_path)
    assert os.fspath(made[2].path) in repr(made[2])
    assert len(repr(made[2])) < 500
    assert "<script" not in made[2]._repr_html_()


def test_runs_against_a_baseline_as_frame_and_latex(made, tmp_path):
    folder, frame, run = made
    others = [
        emo.fit(frame, folder / "s", streams=[each], out=tmp_path / each[-1], **QUICK)
        for each in ("fake/a", "fake/b")
    ]
    ranked = emo.compare([run, *others], baseline=run)
    assert set(ranked.frame["run"]) == {str(each.path) for each in (run, *others)}
    assert ranked.frame.set_index("run")["p_corrected"].isna().tolist().count(True) == 1
    text = ranked.to_latex(tmp_path / "t.tex", metrics=["uar"])
    assert (tmp_path / "t.tex").read_text() == text + "\n"
    assert json.loads(ranked.to_json())["correction"] == "holm"
    assert ranked.to_csv().count("\n") == 3
    assert ranked.to_markdown().startswith("| run |")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"head": object()}, "head: expected a class"),
        ({"epochs": "3"}, "epochs: expected a whole number, got '3'"),
        ({"seeds": [1, 2]}, "seeds: expected a whole number"),
        ({"learning_rate": "1"}, "learning_rate: expected a number"),
    ],
)
def test_wrong_arguments_are_named(made, given, said):
    folder, frame, run = made
    with pytest.raises(emo.EmoError, match=said):
        emo.fit(frame, folder / "s", **given)
    with pytest.raises(emo.EmoError, match="features: expected a path"):
        emo.fit(frame, emo.Manifest.from_frame(frame))
    with pytest.raises(emo.EmoError, match="head: expected a class"):
        emo.load_run(run.path, head="linear")


def test_one_name_is_a_list_of_one(made, tmp_path):
    _, _, run = made
    assert "uar" in emo.compare(run).to_latex(metrics="uar").lower()
    with pytest.raises(emo.EmoError, match="nope"):
        emo.compare(str(tmp_path / "nope"))


def test_a_head_of_main_is_not_advised_to_be_allowed(tmp_path):
    from emo import plugins

    with pytest.raises(emo.EmoError, match=r"emo\.load_run\(path, head=Mine\)") as said:
        plugins.expect_trust("__main__:Mine", tmp_path / "run.json")
    assert "--allow-code" not in str(said.value)


def test_predictions_in_memory_are_scored_as_files_are(made):
    folder, frame, run = made
    rows = run.predictions[run.predictions["split"] == "test"][["id", "prediction"]]
    gold = frame[frame["id"].isin(rows["id"])]
    rows.to_csv(folder / "p.csv", index=False)
    gold.to_csv(folder / "g.csv", index=False)
    ours = emo.score_predictions(rows, gold)
    theirs = emo.score_predictions(folder / "p.csv", folder / "g.csv")
    assert ours.results[0].scores == theirs.results[0].scores
    assert "DataFrame" in repr(ours)
    assert emo.score_predictions(rows, emo.Manifest.from_frame(gold)).frame["rank"].tolist() == [1]


def test_a_list_of_media_files_is_predicted(made, tmp_path):
    run = made[2]
    with pytest.raises(emo.EmoError, match=r"none\.mp4"):
        run.predict([tmp_path / "none.mp4"])
    with pytest.raises(emo.EmoError, match="no such folder"):
        run.predict(made[1], features=made[0] / "s", root=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda found: found["label"], "got Tensor"),
        (lambda found: {"label": found["label"][:1]}, r"expected \(\d+, C\), got \(1, \d\)"),
        (lambda found: {"other": found["label"]}, "got nothing for label; found other"),
    ],
)
def test_wrong_outputs_of_a_head_are_named(made, wrong, said):
    class Wrong(head_of_a_cell()):
        def forward(self, batch):
            return wrong(super().forward(batch))

    with pytest.raises(emo.EmoError, match=f"head Wrong: forward must return .*{said}"):
        emo.fit(made[1], made[0] / "s", head=Wrong, epochs=1)


def test_what_was_chosen_for_the_user_is_shown_with_the_run(made):
    folder, frame, run = made
    cut = [note for note in run.notes if "cut from train" in note]
    assert len(cut) == 2
    assert cut[0] in repr(run)
    assert cut[0] in run._repr_html_()
    assert emo.cross_validate(frame, folder / "s", by="speaker", **QUICK).notes


def test_clips_without_a_prediction_are_counted_in_a_warning(made):
    folder, frame, run = made
    more = pd.concat([frame, frame[:1].assign(id="new")])
    with pytest.warns(UserWarning, match="no prediction for 1 clip, first new: not in the store"):
        assert len(run.predict(more, features=folder / "s")) == 60


def test_a_fit_that_fails_leaves_no_temporary_folder(made, monkeypatch, tmp_path):
    import tempfile

    folder, frame, _ = made
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(emo.EmoError, match="nobody"):
        emo.fit(frame, folder / "s", head="linear", streams="nobody")
    assert not list(tmp_path.glob("emo-run-*"))


def test_the_command_of_folds_columns_and_weights_makes_the_same_run(made):
    from typer.testing import CliRunner

    from emo.cli import app

    folder, frame, _ = made
    frame.rename(columns={"label": "Emotion"}).to_csv(folder / "n.csv", index=False)
    run = emo.cross_validate(
        folder / "n.csv", folder / "s", by="speaker", columns={"label": "Emotion"}, epochs=2,
        head="mean_pool", targets=["label", "level"], target_weights={"level": 0.5},
    )  # fmt: skip
    words = shlex.split(run.command.splitlines()[-1])
    assert words[words.index("--cv") : words.index("--cv") + 2] == ["--cv", "speaker"]
    assert "level=0.5" in words
    result = CliRunner().invoke(app, [*words[1:], "--out", str(folder / "folds-again")])
    assert result.exit_code == 0, result.output
    pd.testing.assert_frame_equal(emo.load_run(folder / "folds-again").scores, run.scores)
