"""Tests of emo/extract/worker/worker.py and run.py on texts: failures, stops, several backbones."""

import numpy as np
import pytest

from emo.errors import OptionError, StoreError
from emo.extract.job.request import Job, requests_from_words
from emo.extract.media import Needs
from emo.extract.run import ExtractOptions, extract
from emo.extract.worker import encode
from emo.extract.worker.loaded_models import TEXTS, LoadedModels
from emo.extract.worker.meter import StageMeter
from emo.manifest import Clip, Manifest
from emo.store.store import Store

LETTERS = "tests.make_backbone:Letters"


def manifest_of(root, texts):
    clips = tuple(Clip(f"c{k}", text=text) for k, text in enumerate(texts))
    return Manifest(root / "m.csv", root, clips, "")


def run(root, texts, words=(LETTERS,), pairs=(), **options):
    requests = requests_from_words(words, pairs)
    manifest = manifest_of(root, texts)
    return extract(manifest, root / "store", requests, ExtractOptions(**options), progress=False)


def test_every_clip_is_done_once_and_a_second_run_does_nothing(tmp_path):
    report = run(tmp_path, ["ab", "c", "def"], part_clips=2)
    assert (report.exit_code, report.job.clips, len(report.plan.parts)) == (0, 3, 2)
    tokens = Store(tmp_path / "store").read("letters/letters", ["c2", "c0"])
    assert [clip[:, 0].tolist() for clip in tokens] == [[100, 101, 102], [97, 98]]
    assert not run(tmp_path, ["ab", "c", "def"], part_clips=2).plan.parts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("!raise", "this clip asked to fail"),
        ("!encode", "RuntimeError: the model stumbled"),
        ("!nan", "finite"),
        ("", "the text is empty"),
    ],
)
def test_a_bad_clip_is_recorded_and_its_neighbours_are_done(tmp_path, text, reason):
    report = run(tmp_path, ["ab", text, "cd"])
    assert report.exit_code == 3
    assert reason in report.failures["letters"]["c1"]
    folder = Store(tmp_path / "store").recipes["letters"]
    assert sorted(folder.ids) == ["c0", "c2"]
    assert reason in folder.failures["c1"]


def test_a_retried_failure_is_replaced(tmp_path):
    run(tmp_path, ["ab", "!raise"])
    assert run(tmp_path, ["ab", "!raise"], retry_failed=True).exit_code == 3
    fixed = run(tmp_path, ["ab", "fine"], retry_failed=True)
    assert fixed.exit_code == 0
    folder = Store(tmp_path / "store").recipes["letters"]
    assert sorted(folder.ids) == ["c0", "c1"]
    assert folder.failures == {}


def test_another_option_is_another_recipe(tmp_path):
    run(tmp_path, ["ab"])
    with pytest.raises(StoreError, match=r"options.scale: 1.0 -> 2.0(.|\n)*--as"):
        run(tmp_path, ["ab"], pairs=["scale=2"])
    requests = requests_from_words([LETTERS], ["doubled.scale=2"], name="doubled")
    extract(manifest_of(tmp_path, ["ab"]), tmp_path / "store", requests, progress=False)
    store = Store(tmp_path / "store")
    assert set(store.recipes) == {"letters", "doubled"}
    np.testing.assert_array_equal(
        store.read("doubled/letters").values, 2 * store.read("letters/letters").values
    )


def test_a_dry_run_writes_nothing(tmp_path):
    requests = requests_from_words([LETTERS])
    manifest = manifest_of(tmp_path, ["ab", "cd"])
    report = extract(manifest, tmp_path / "store", requests, is_dry_run=True, progress=False)
    assert not (tmp_path / "store").exists()
    assert (report.plan.clips, report.forecast_bytes) == (2, 2 * 10 * 3 * 4)


def test_two_backbones_of_one_recipe_name_are_refused():
    with pytest.raises(OptionError, match="two backbones"):
        requests_from_words([LETTERS, LETTERS])
    with pytest.raises(OptionError, match="only backbone"):
        requests_from_words([LETTERS, "logmel"], name="x")
    with pytest.raises(OptionError, match="recipe name"):
        requests_from_words([LETTERS], name="../up")


def test_a_plugin_can_be_asked_for_under_two_names():
    requests = requests_from_words(["logmel:a", "logmel:b"], ["a.mels=32", "b.mels=40"])
    assert [(one.name, one.plugin, one.options["mels"]) for one in requests] == [
        ("a", "logmel", 32), ("b", "logmel", 40),
    ]  # fmt: skip


@pytest.mark.parametrize(("asked", "most"), [(None, 40), (16, 16), (3, 3)])
def test_texts_alone_come_in_large_batches_unless_somebody_says(asked, most, tmp_path, monkeypatch):
    sizes, real = [], encode.encode_batch
    monkeypatch.setattr(
        encode, "encode_batch", lambda bone, batch: sizes.append(len(batch)) or real(bone, batch)
    )
    run(tmp_path, ["ab"] * 40, part_clips=40, batch_clips=asked)
    assert max(sizes) == most
    assert sum(sizes) == 40


@pytest.mark.parametrize(("device", "asked", "clips"), [
    ("cpu", None, 16), ("cuda:0", None, 64), ("cuda:0", 5, 5),
])  # fmt: skip
def test_batches_that_need_decoding_are_larger_on_a_gpu(device, asked, clips, tmp_path):
    job = Job(tmp_path, tmp_path, requests_from_words(["logmel"]), device, asked)
    loaded = LoadedModels(job, StageMeter(1))
    loaded.load({}, ())
    loaded.needs["logmel"] = Needs(audio=True)
    loaded.needs["letters"] = Needs(text=True)
    assert loaded.limits(["logmel", "letters"]).clips == clips
    assert loaded.limits(["letters"]).clips == (asked or TEXTS.clips)
