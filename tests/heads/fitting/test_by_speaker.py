"""`--scaling STREAM=speaker` in fits, folds, ablations, searches, `--init`, and what runs say."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

import emo
from emo.errors import FitError
from emo.heads.fitting.ablate import ablate
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.several.ranked import HeadRuns, Tried
from emo.heads.runs.comparing.compare import compare_runs
from emo.heads.runs.comparing.formats import to_json, to_markdown
from emo.heads.runs.run import Run
from emo.heads.runs.show import show_run
from emo.predict.predicted import predict_clips
from tests.make_batches import make_manifest, make_store

pytestmark = pytest.mark.usefixtures("module_without_plots")

SPLITS = [("train", "train", "train", "val", "test")[row // 24] for row in range(120)]
PLAIN = FitOptions(
    "linear",
    head_options={"solver": "ridge", "penalties": "3", "fusion": "late"},
    streams=("fake/a",),
    threads=1,
)
SCALED = PLAIN.replace(scaling={"fake/a": "speaker"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Ten speakers with twelve clips each, whose voices differ by more than their feelings do."""
    random = np.random.default_rng(0)
    voices = 6 * random.standard_normal((10, 8)).astype("f4")
    centres = 1.5 * random.standard_normal((3, 8)).astype("f4")
    tokens = {
        f"c{row}": {
            "a": voices[row // 12] + centres[row % 3] + random.standard_normal((2, 8)).astype("f4"),
            "b": random.standard_normal((1, 4)).astype("f4"),
        }
        for row in range(120)
    }  # fmt: skip
    manifest = make_manifest(
        [("anger", "joy", "calm")[row % 3] for row in range(120)],
        split=SPLITS,
        speaker=[f"s{row // 12}" for row in range(120)],
        dialogue=[f"d{row // 12}" for row in range(120)],
    )
    folder = tmp_path_factory.mktemp("by-speaker")
    return manifest, make_store(folder / "features", tokens), folder


@pytest.fixture(scope="module")
def runs(made):
    manifest, store, folder = made
    for name, options in (("plain", PLAIN), ("scaled", SCALED)):
        fit_head(manifest, [store], folder / name, options)
    return folder


@pytest.fixture(scope="module")
def crossed(made):
    """Each speaker left out once, with the head `linear`."""
    manifest, store, folder = made
    return cross_validate(manifest, [store], folder / "cv", SCALED, by="speaker")


def test_show_and_the_table_of_heads_say_it(made, runs):
    found = HeadRuns((Tried("linear", runs / "scaled", "fitted"),))
    assert "transductive: scaled by speaker" in " ".join(found.table().split())
    assert "transductive" not in HeadRuns((Tried("linear", runs / "plain", "fitted"),)).table()
    shown = dict(show_run(runs / "scaled")["run scaled"])
    assert "transductive" in shown["scaling"]
    assert "scaling" not in dict(show_run(runs / "plain")["run plain"])


def with_speakers(manifest, names):
    """Return the manifest with other speakers."""
    clips = [
        dataclasses.replace(clip, speaker=name)
        for clip, name in zip(manifest.clips, names, strict=True)
    ]
    return dataclasses.replace(manifest, clips=tuple(clips))


def with_permuted_labels(manifest, rows):
    """Return the manifest with the labels of these clips in another order."""
    clips, rows = list(manifest.clips), list(rows)
    others = np.random.default_rng(0).permutation(rows)
    for row, other in zip(rows, others.tolist(), strict=True):
        clips[row] = dataclasses.replace(clips[row], targets=manifest.clips[other].targets)
    return dataclasses.replace(manifest, clips=tuple(clips))


def test_it_helps_where_speakers_differ_and_random_groups_do_not(made, runs):
    manifest, store, _ = made
    mixed = np.random.default_rng(1).permutation([clip.speaker for clip in manifest.clips])
    by_chance = with_speakers(manifest, mixed.tolist())
    plain, scaled = (
        json.loads((runs / name / "run.json").read_text())["metrics"]["test"]["mean"]["uar"]
        for name in ("plain", "scaled")
    )
    chance = fit_head(by_chance, [store], None, SCALED).metrics["test"]["mean"]["uar"]
    assert scaled > plain + 0.1
    assert chance < plain + 0.1


def test_a_run_says_that_it_is_transductive_and_others_are_as_before(runs):
    documents = {
        name: json.loads((runs / name / "run.json").read_text()) for name in ("plain", "scaled")
    }
    assert documents["scaled"]["transductive"] is True
    assert documents["scaled"]["options"]["scaling"] == {"fake/a": "speaker"}
    assert "transductive" not in documents["plain"]
    assert any("the scores are transductive" in note for note in documents["scaled"]["notes"])
    assert not any("transductive" in note for note in documents["plain"]["notes"])
    assert Run.load(runs / "scaled").is_by_speaker
    assert not Run.load(runs / "plain").is_by_speaker


def test_compare_shows_it(runs):
    found = compare_runs([runs / "plain", runs / "scaled"])
    assert "transductive" in found.table()
    assert f"- transductive run {runs / 'scaled'}: scaled by speaker" in found.table()
    told = {row["run"]: row["transductive"] for row in json.loads(to_json(found))["runs"]}
    assert told == {str(runs / "plain"): False, str(runs / "scaled"): True}
    assert "| transductive |" in to_markdown(found)
    assert "transductive" not in compare_runs([runs / "plain"]).table()


@pytest.mark.parametrize("head", ["mean_pool", "dialogue_bilstm"])
def test_prediction_scales_as_the_fit_did(made, tmp_path, head):
    """The whole manifest predicted again gives the probabilities of the run's own files."""
    manifest, store, _ = made
    options = FitOptions.of(
        head=head, streams=("fake/a",), scaling={"fake/a": "speaker"}, threads=1, epochs=2
    )
    fit_head(manifest, [store], tmp_path / "run", options)
    table = pd.read_csv(tmp_path / "run" / "predictions.csv")
    table = table[table["split"] == "test"]
    again = predict_clips(tmp_path / "run", manifest, [store])
    assert again.notes == ()
    found = again.frame().set_index("id").loc[table["id"]]
    for name in ("p_anger", "p_joy", "p_calm"):
        np.testing.assert_allclose(found[name], table[name], atol=2e-6)
    permuted = with_permuted_labels(manifest, range(120))
    pd.testing.assert_frame_equal(
        predict_clips(tmp_path / "run", permuted, [store]).frame(), again.frame()
    )


@pytest.mark.parametrize("head", ["linear", "mean_pool", "dialogue_bilstm"])
def test_labels_of_test_change_no_prediction_of_a_fit(made, head):
    manifest, store, _ = made
    options = (
        SCALED
        if head == "linear"
        else FitOptions.of(
            head=head, streams=("fake/a",), scaling={"fake/a": "speaker"}, threads=1, epochs=2
        )
    )
    permuted = with_permuted_labels(
        manifest, [row for row, split in enumerate(SPLITS) if split == "test"]
    )
    first, second = (
        fit_head(clips, [store], None, options).predictions for clips in (manifest, permuted)
    )
    is_tested = first["split"] == "test"
    assert (first["label"] != second["label"])[is_tested].any()
    pd.testing.assert_frame_equal(first.drop(columns="label"), second.drop(columns="label"))


@pytest.mark.parametrize("head", ["linear", "dialogue_bilstm"])
def test_labels_of_the_tested_fold_change_none_of_its_predictions(made, head, request):
    manifest, store, _ = made
    options = (
        SCALED
        if head == "linear"
        else FitOptions.of(
            head=head, streams=("fake/a",), scaling={"fake/a": "speaker"}, threads=1, epochs=1
        )
    )
    permuted = with_permuted_labels(manifest, range(12))  # those of speaker s0
    as_it_is = (
        request.getfixturevalue("crossed")
        if head == "linear"
        else cross_validate(manifest, [store], None, options, by="speaker")
    )
    results = as_it_is, cross_validate(permuted, [store], None, options, by="speaker")
    first, second = (found.prediction_frame(found.pooled.data.targets[0]) for found in results)
    tested = {f"c{row}" for row in range(12)}
    first, second = (table[table["id"].isin(tested)] for table in (first, second))
    assert len(first) == 12
    assert (first["label"] != second["label"]).any()
    pd.testing.assert_frame_equal(first.drop(columns="label"), second.drop(columns="label"))


def test_every_fold_is_scaled_and_the_whole_is_transductive(made, crossed):
    assert crossed.metrics["mean"]["uar"] > 0.8
    document = json.loads((made[2] / "cv" / "run.json").read_text())
    assert document["transductive"] is True
    assert crossed.table().count("the scores are transductive") == 1


def test_ablation_scales_the_stream_in_each_subset(made, tmp_path):
    manifest, store, _ = made
    options = SCALED.replace(streams=())
    ablate(manifest, [store], tmp_path / "abl", options)
    told = {
        path.parent.name: json.loads(path.read_text()).get("transductive", False)
        for path in (tmp_path / "abl").glob("*/run.json")
    }
    assert told == {"fake-a": True, "fake-b": False, "fake-a+fake-b": True}


def test_a_search_and_python_scale_by_speaker(made, tmp_path):
    manifest, store, _ = made
    pd.DataFrame(
        [{"id": clip.id, "text": "x", "split": clip.split, "speaker": clip.speaker,
          "label": clip.targets["label"]} for clip in manifest.clips]
    ).to_csv(tmp_path / "m.csv", index=False)  # fmt: skip
    run = emo.fit(tmp_path / "m.csv", store, head="mean_pool", streams=["fake/a"], epochs=2,
                  search=2, scaling={"fake/a": "speaker"}, out=tmp_path / "run")  # fmt: skip
    assert run.document["transductive"] is True
    few = pd.read_csv(tmp_path / "m.csv").iloc[:3].drop(columns="label")
    with pytest.warns(UserWarning, match=r"1 speaker has fewer than 5 clips \(s0\)"):
        run.predict(few, features=store)


def test_init_takes_the_scaling_by_speaker_along(made, tmp_path):
    manifest, store, _ = made
    first = FitOptions.of(
        head="aligned_attention", streams=("fake/a",), epochs=2, threads=1,
        head_options={"hidden": "16"}, scaling={"fake/a": "speaker"},
    )  # fmt: skip
    fit_head(manifest, [store], tmp_path / "one", first)
    both = first.replace(streams=(), scaling={}, init=(str(tmp_path / "one"),))
    result = fit_head(manifest, [store], tmp_path / "two", both)
    assert result.data.scalings["fake/a"].by_speaker is not None
    assert result.data.scalings["fake/b"].by_speaker is None
    assert json.loads((tmp_path / "two" / "run.json").read_text())["transductive"] is True


def test_work_on_other_speakers_is_not_continued(made):
    from emo.heads.data.data import read_data
    from emo.heads.training.fingerprint import question_of

    manifest, store, _ = made
    other = with_speakers(manifest, ["one"] * 120)
    ours, theirs = (
        question_of(read_data(each, [store], SCALED), SCALED) for each in (manifest, other)
    )
    assert {name for name in ours if ours[name] != theirs[name]} == {"tokens"}
    plain = [question_of(read_data(each, [store], PLAIN), PLAIN) for each in (manifest, other)]
    assert plain[0] == plain[1]


def test_a_damaged_scaling_is_refused(runs, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(runs / "scaled", tmp_path / "run")
    file = tmp_path / "run" / "head.safetensors"
    tensors = load_file(file)
    tensors["scaling/fake/a/speaker_mean"] = tensors["scaling/fake/a/speaker_mean"][:3].clone()
    save_file(tensors, file)
    with pytest.raises(FitError, match="the speaker_mean of fake/a has shape"):
        Run.load(tmp_path / "run")
