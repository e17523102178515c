"""Clips that an adaptation has seen are refused where its weights are used and evaluated."""

import dataclasses

import pytest

from emo.adapt.adapt import adapt
from emo.errors import FitError, WeightsError
from emo.extract.decode.content import content_of
from emo.extract.job.request import requests_from_words
from emo.extract.run import extract
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import Clip, read_manifest
from emo.store.adapted import SeenClips
from emo.store.store import Store
from tests.adapt.conftest import options_of, run_adapt

ONE = FitOptions.of(head="mean_pool", epochs=1, threads=1, head_options={"hidden": "4"})
ORDER = ("train", "val", "test")


@pytest.fixture(scope="module")
def adapted(weights, clips, tmp_path_factory):
    """Folder of a short adaptation."""
    out = tmp_path_factory.mktemp("leaks") / "adapted"
    run_adapt(clips, out, options_of(weights, num_train_epochs=1))
    return out


def turned(clips):
    """The manifest, in which train clips are test, and test clips train."""
    manifest = read_manifest(clips)
    other = {"train": "test", "val": "val", "test": "train"}
    rows = tuple(dataclasses.replace(clip, split=other[clip.split]) for clip in manifest.clips)
    return dataclasses.replace(manifest, clips=rows)


def seen_by(clips):
    manifest = read_manifest(clips)
    return SeenClips.of({name: [c.id for c in manifest.clips if c.split == name] for name in ORDER})


def options_on(adapted, **fields):
    folder = adapted / "weights" / "languagebind" / "weights"
    return options_of(folder, num_train_epochs=1, **fields)


def test_extracted_tokens_of_adapted_weights_know_their_clips(adapted, clips, tmp_path):
    folder = adapted / "weights" / "languagebind" / "weights"
    words = [f"tuned.weights={folder}", "tuned.streams=text"]
    (request,) = requests_from_words(["languagebind:tuned"], words)
    store = tmp_path / "features"
    assert extract(read_manifest(clips), store, [request], progress=False).exit_code == 0
    assert Store(store).recipes["tuned"].seen == seen_by(clips)
    assert fit_head(read_manifest(clips), [store], None, ONE).data.seen == ()
    with pytest.raises(FitError, match=r"features tuned: .*27 clips of its train are in test here"):
        fit_head(turned(clips), [store], None, ONE)


def renamed(manifest):
    """The manifest with other ids."""
    rows = tuple(dataclasses.replace(clip, id=f"new-{clip.id}") for clip in manifest.clips)
    return dataclasses.replace(manifest, clips=rows)


def test_seen_clips_are_found_under_other_ids(adapted, clips, tmp_path):
    folder = adapted / "weights" / "languagebind" / "weights"
    words = [f"tuned.weights={folder}", "tuned.streams=text"]
    (request,) = requests_from_words(["languagebind:tuned"], words)
    store, other = tmp_path / "features", renamed(turned(clips))
    assert extract(other, store, [request], progress=False).exit_code == 0
    with pytest.raises(FitError, match=r"27 clips of its train are in test here \(new-c"):
        fit_head(other, [store], None, ONE)
    assert fit_head(renamed(read_manifest(clips)), [store], None, ONE).data.seen == ()
    with pytest.raises(FitError, match=r"27 clips of its train are in test here \(new-c"):
        adapt(other, (), tmp_path / "no", options_on(adapted), progress=False)
    assert "well" not in (adapted / "contents.csv").read_text()
    lists = [path.read_text() for path in store.rglob("adapted-*.csv")]
    assert all(row.startswith(("c", "new-c", "id,")) for text in lists for row in text.split())


def test_contents_are_media_at_their_times_or_texts_of_several_words(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"1" * 200_000)
    (tmp_path / "b.mp4").write_bytes(b"1" * 200_000)
    (tmp_path / "c.mp4").write_bytes(b"1" * 199_999 + b"2")

    def of(salt="00", **cells):
        return content_of(Clip("x", **cells), tmp_path, salt)

    assert of(video="a.mp4") == of(video="b.mp4") != of(video="c.mp4")
    assert of(video="a.mp4") != of(video="a.mp4", start_seconds=1.0)
    assert of(text="four words are enough") == of(text="four words are enough")
    assert of(text="four words are enough") != of("11", text="four words are enough")
    assert of(text="oh my god") == of(video="none.mp4") == ""


def test_a_second_adaptation_refuses_seen_clips_and_unites_the_lists(adapted, clips, tmp_path):
    with pytest.raises(FitError, match=r"27 clips of its train are in test here .*--allow-seen"):
        adapt(turned(clips), (), tmp_path / "no", options_on(adapted), progress=False)
    report = adapt(
        turned(clips), (), tmp_path / "twice", options_on(adapted, allow_seen=True),
        progress=False,
    )  # fmt: skip
    assert "27 clips of its train" in " ".join(report.finished.result.notes)
    (request,) = requests_from_words(
        ["languagebind:tuned"],
        [f"tuned.weights={tmp_path / 'twice' / 'weights' / 'languagebind' / 'weights'}",
         "tuned.streams=text"],
    )  # fmt: skip
    counts = request.recipe.facts["adapted"]["clips"]
    manifest = read_manifest(clips)
    assert counts["train"] == sum(clip.split in ("train", "test") for clip in manifest.clips)


def test_weights_without_their_list_are_refused(adapted, clips, tmp_path):
    (adapted / "clips.csv").rename(adapted / "kept.csv")
    try:
        with pytest.raises(WeightsError, match=r"clips\.csv, the list of clips"):
            adapt(read_manifest(clips), (), tmp_path / "no", options_on(adapted), progress=False)
    finally:
        (adapted / "kept.csv").rename(adapted / "clips.csv")
