"""Reading the clips of a fit: which streams and clips are used, and notes on the others."""

import dataclasses

import numpy as np
import pytest

from emo.errors import FitError, StoreError
from emo.heads.data.data import read_data
from emo.heads.data.scaling import TOTAL_VARIANCE
from emo.heads.data.select import subsample
from emo.heads.data.streams import open_sources
from emo.heads.options import FitOptions
from emo.store.recipe import StreamSpec
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 30 + ["val"] * 15 + ["test"] * 15


@pytest.fixture
def made(tmp_path):
    labels, tokens = learnable(60, streams=("a", "b"))
    return make_manifest(labels, split=SPLITS), make_store(tmp_path / "features", tokens), tokens


def test_splits_hold_their_clips_scaled_by_train(made):
    manifest, store, tokens = made
    data = read_data(manifest, [store], FitOptions(target="label"))
    assert data.classes == ("anger", "calm", "joy")
    assert data.dims == {"fake/a": 8, "fake/b": 8}
    assert data.splits["val"].ids == tuple(f"c{row}" for row in range(30, 45))
    train = data.splits["train"].batch.streams["fake/a"]
    assert train.values.var(0, correction=0).sum().item() == pytest.approx(TOTAL_VARIANCE, rel=1e-4)
    raw = np.concatenate([tokens[f"c{row}"]["a"] for row in range(30)])
    of_val = tokens["c31"]["a"]
    expected = (of_val - raw.mean(0)) / raw.std(0) * np.sqrt(TOTAL_VARIANCE / 8)
    found = data.splits["val"].batch.streams["fake/a"][1]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    labels = data.splits["train"].batch.targets["label"]
    assert [data.classes[k] for k in labels] == [c.targets["label"] for c in manifest.clips[:30]]


def test_labels_of_test_are_not_in_its_batch(made):
    manifest, store, _ = made
    data = read_data(manifest, [store], FitOptions(target="label"))
    assert data.splits["test"].batch.targets == {}
    assert set(data.splits["val"].batch.targets) == {"label"}


def test_streams_by_recipe_by_name_and_all(made):
    _, store, _ = made
    names = lambda *asked: [source.name for source in open_sources([store], asked)[0]]  # noqa: E731
    assert names() == names("fake") == ["fake/a", "fake/b"]
    assert names("fake/b") == ["fake/b"]
    assert names("fake/b", "fake") == ["fake/b", "fake/a"]
    with pytest.raises(FitError, match="unknown stream 'fake/c'; did you mean 'fake/"):
        names("fake/c")
    with pytest.raises(FitError, match="unknown stream 'fale'; did you mean 'fake'"):
        names("fale")


def test_image_streams_are_left_out_unless_named(tmp_path):
    spec = StreamSpec(12, "uint8", kind="image", shape=(2, 2, 3))
    crops = {f"c{row}": {"face": np.full((2, 12), 9, np.uint8)} for row in range(3)}
    only = make_store(tmp_path / "only", crops, specs={"face": spec})
    with pytest.raises(FitError, match="no streams for a head; found: fake/face"):
        open_sources([only], [])
    assert open_sources([only], ["fake/face"])[0][0].spec == spec
    both = make_store(
        tmp_path / "both",
        {key: {**value, "a": np.ones((1, 2), np.float32)} for key, value in crops.items()},
        specs={"face": spec, "a": StreamSpec(2, "float32")},
    )
    sources, notes = open_sources([both], ["fake"])
    assert [source.name for source in sources] == ["fake/a"]
    assert notes == ["fake/face: left out, raw pixels (--stream fake/face takes it)"]


def test_streams_that_no_clip_has_are_left_out_unless_named(tmp_path):
    tokens = {f"c{row}": {"a": np.ones((1, 2), np.float32)} for row in range(3)}
    specs = {"a": StreamSpec(2, "float32"), "b": StreamSpec(3)}
    store = make_store(tmp_path / "features", tokens, specs=specs)
    sources, notes = open_sources([store], [])
    assert [source.name for source in sources] == ["fake/a"]
    assert notes == ["fake/b: left out, no clip has tokens in it"]
    assert [source.name for source in open_sources([store], ["fake/b"])[0]] == ["fake/b"]


def test_one_recipe_name_for_two_recipes_is_an_error(tmp_path):
    _, tokens = learnable(3)
    first = make_store(tmp_path / "first", tokens)
    second = make_store(tmp_path / "second", tokens, options={"frames": 8})
    with pytest.raises(StoreError, match=r"'fake' of .*second differs .*options.frames: None -> 8"):
        open_sources([first, second], [])


def test_clips_of_one_recipe_may_lie_in_two_stores(tmp_path):
    labels, tokens = learnable(60)
    halves = [dict(list(tokens.items())[part]) for part in (slice(0, 20), slice(20, None))]
    stores = [make_store(tmp_path / f"s{k}", half) for k, half in enumerate(halves)]
    split = read_data(
        make_manifest(labels, split=SPLITS), stores, FitOptions(target="label")
    ).splits
    one = make_store(tmp_path / "one", tokens)
    whole = read_data(make_manifest(labels, split=SPLITS), [one], FitOptions(target="label")).splits
    for name in split:
        for ours, theirs in zip(
            split[name].batch.streams["fake/a"], whole[name].batch.streams["fake/a"], strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_recipes_of_two_stores_are_fused(tmp_path):
    labels, tokens = learnable(60)
    stores = [
        make_store(tmp_path / name, tokens, recipe_name=name, options={"of": name})
        for name in ("x", "y")
    ]
    data = read_data(make_manifest(labels, split=SPLITS), stores, FitOptions(target="label"))
    assert list(data.dims) == ["x/a", "y/a"]


def test_clips_without_features_are_named_and_left_out(tmp_path):
    labels, tokens = learnable(60)
    tokens["c3"] = {}
    del tokens["c59"]
    manifest = make_manifest(labels, split=SPLITS)
    store = make_store(tmp_path / "features", tokens)
    data = read_data(manifest, [store], FitOptions(target="label"))
    assert "c3" not in data.splits["train"].ids
    assert len(data.splits["train"].ids) == 29
    assert len(data.splits["test"].ids) == 14
    assert data.notes == ("2 clips (c3, c59) without features: left out (1 of train, 1 of test)",)
    with pytest.raises(FitError, match=r"2 clips \(c3, c59\) of 60 without features, more than"):
        read_data(manifest, [store], FitOptions(target="label", allow_missing=0.01))


def test_a_clip_with_one_of_two_streams_stays(tmp_path):
    labels, tokens = learnable(60, streams=("a", "b"))
    del tokens["c3"]["b"]
    store = make_store(tmp_path / "features", tokens)
    data = read_data(make_manifest(labels, split=SPLITS), [store], FitOptions(target="label"))
    streams = data.splits["train"].batch.streams
    assert streams["fake/a"].lengths[3] > 0
    assert streams["fake/b"].lengths[3] == 0
    assert data.notes == ("fake/b: absent in 1 clip",)


def test_clips_without_label_or_split_are_counted(made):
    manifest, store, _ = made
    clips = list(manifest.clips)
    clips[0] = dataclasses.replace(clips[0], targets={})
    clips[1] = dataclasses.replace(clips[1], split=None)
    data = read_data(
        dataclasses.replace(manifest, clips=tuple(clips)), [store], FitOptions(target="label")
    )
    assert len(data.splits["train"].ids) == 28
    assert data.notes == ("1 clip without label: not used", "1 clip (c1) in no split: not used")


def test_an_unknown_target_names_the_columns(made):
    manifest, store, _ = made
    with pytest.raises(FitError, match="unknown target column 'labels'; did you mean 'label'"):
        read_data(manifest, [store], FitOptions(target="labels"))


def test_few_samples_are_of_every_class_in_turn():
    """Otherwise val may have a class that train lacks."""
    labels = ["joy"] * 70 + ["anger"] * 20 + ["fear"] * 10
    clips = list(make_manifest(labels * 2, split=["train"] * 100 + ["val"] * 100).clips)
    for most, expected in (
        (1, ["joy"]),
        (2, ["anger", "joy"]),
        (4, ["anger", "fear", "joy", "joy"]),
    ):
        kept = subsample(clips, most, unit="clip", seed=3, classes_of="label")
        for split in ("train", "val"):
            found = sorted(clip.targets["label"] for clip in kept if clip.split == split)
            assert found == expected
