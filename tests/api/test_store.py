"""Tokens and stores from Python: the law of each against the store's own reading."""

import numpy as np
import pandas as pd
import pytest
import torch

import emo
import emo.store
from emo.store import PartWriter
from tests.make_store import RECIPE, noise


@pytest.fixture
def store(tmp_path):
    """Five clips of three streams, one without audio, and a failed one."""
    made = emo.store.Store.create(tmp_path / "s").add_recipe("toy", RECIPE)
    clips = noise(3, 4, 1, 7, 2, 3)
    del clips["c3"]["audio"]
    with PartWriter(made.path, made.recipe) as part:
        for name, tokens in clips.items():
            part.add(
                name, tokens, source="s", absent={} if "audio" in tokens else {"audio": "mute"}
            )
        part.fail("bad", "no frame", source="s")
    return emo.Store(tmp_path / "s")


IDS = ["c2", "nobody", "c3", "c0"]
CLIPS = pd.DataFrame({"id": IDS, "text": "x"})


def test_tokens_are_those_of_the_store(store):
    whole = emo.store.Store(store.path).recipes["toy"]
    for stream in ("audio", "text", "face"):
        ours, theirs = store[f"toy/{stream}"], whole.read(stream)
        assert ours.ids == list(whole.ids)
        assert np.array_equal(ours.values, theirs.values)
        assert np.array_equal(ours.lengths, np.diff(theirs.offsets))
        for number, clip_id in enumerate(ours.ids):
            assert np.array_equal(ours[clip_id], theirs[number])
            assert np.array_equal(emo.Store(store.path)[f"toy/{stream}"][clip_id], theirs[number])


def test_reading_in_the_order_of_ids_keeps_absent_clips_with_length_zero(store):
    tokens = store.read("toy/audio", CLIPS)
    assert tokens.ids == IDS
    assert [len(each) for each in tokens] == [7, 0, 0, 4]
    assert tokens["nobody"].shape == (0, 8)
    with pytest.raises(KeyError, match="nothing"):
        tokens["nothing"]
    with pytest.raises(TypeError, match="expected the id or number"):
        tokens[0:2]


def test_ids_in_a_list_must_be_known(store):
    with pytest.raises(emo.EmoError, match="unknown clip 'nobody'"):
        store.read("toy/audio", IDS)
    for ids in (["c2", "bad"], pd.Index(["c2", "bad"]), pd.Series(["c2", "bad"])):
        assert store.read("toy/audio", ids).lengths.tolist() == [7, 0]
    assert store.frame("toy/audio").shape == (5, 8)


def test_means_padding_and_tensors_agree(store):
    tokens = store.read("toy/audio", CLIPS)
    means = tokens.mean()
    assert list(means.index) == IDS
    assert means.isna().all(axis=1).tolist() == [False, True, True, False]
    expected = tokens["c2"].astype(np.float64).mean(0)
    np.testing.assert_allclose(means.loc["c2"], expected, rtol=1e-6)
    values, mask = tokens.padded()
    assert values.shape == (4, 7, 8)
    assert mask.sum(1).tolist() == [7, 0, 0, 4]
    assert np.array_equal(values[mask], tokens.values)
    assert not values[~mask].any()
    tensors = tokens.torch()
    assert [t.shape[0] for t in tensors] == [7, 0, 0, 4]
    assert all(t.dtype == torch.float32 for t in tensors)
    assert np.array_equal(tensors[3].numpy(), tokens["c0"].astype(np.float32))


def test_a_stream_of_no_clip_has_a_frame_too(store):
    tokens = store.read("toy/audio", CLIPS[1:2])
    assert tokens.mean().shape == (1, 8)
    assert tokens.padded()[0].shape == (1, 0, 8)
    assert store.read("toy/audio", []).mean().shape == (0, 8)


def test_several_streams_lie_side_by_side(store):
    frame = store.frame(["toy/audio", "toy/text"], CLIPS)
    assert frame.shape == (4, 13)
    assert frame.columns[8] == "toy/text/0"
    clips = pd.DataFrame({"text": ["x"]}, index=pd.Index(["c0"], name="id"))
    assert list(store.frame(["toy/text"], clips).index) == ["c0"]


def test_what_a_store_tells_of_itself(store):
    assert store.streams == ["toy/audio", "toy/face", "toy/text"] or set(store.streams) == {
        "toy/audio", "toy/text", "toy/face",
    }  # fmt: skip
    assert store.failures.to_dict("records") == [
        {"recipe": "toy", "id": "bad", "reason": "no frame"}
    ]
    assert store.absent.to_dict("records") == [
        {"recipe": "toy", "stream": "audio", "id": "c3", "reason": "mute"}
    ]
    assert "toy" in repr(store)
    assert "toy" in store._repr_html_()
    assert len(repr(store["toy/audio"])) < 80


@pytest.mark.parametrize("name", ["toy/adio", "tpy/audio", "toy"])
def test_an_unknown_stream_offers_what_there_is(store, name):
    with pytest.raises(emo.EmoError, match=r"audio|toy"):
        store[name]
