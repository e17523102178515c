"""Layouts of other tools: arrays by id, CMU's sequences, video_features, emotion2vec, torch …"""

import json
import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from emo.errors import StoreError
from emo.store import Recipe, StreamSpec
from tests.contracts.test_formats import fill
from tests.store.interop.bring import bring, send

RNG = np.random.default_rng(0)
CLIPS = {f"v{k}": RNG.normal(size=(k + 1, 3)).astype("f4") for k in range(3)}


def assert_is(folder, stream="features", clips=CLIPS):
    assert list(folder.ids) == list(clips)
    for clip_id, tokens in clips.items():
        assert folder.read(stream, [clip_id]).values.tobytes() == tokens.tobytes()


def test_an_npz_with_an_array_for_each_clip(tmp_path):
    np.savez(tmp_path / "x.npz", **CLIPS)
    folder, report = bring(tmp_path, "clip_arrays", tmp_path / "x.npz")
    assert_is(folder)
    assert "ids: names of the arrays, such as v0" in report.table()


def test_an_hdf5_group_for_each_clip_has_streams_and_labels(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:  # as in the files of TVSum and SumMe
        for clip_id, tokens in CLIPS.items():
            file[f"{clip_id}/features"] = tokens
            file[f"{clip_id}/gtscore"] = tokens[:, 0]
            file[f"{clip_id}/n_frames"] = len(tokens)
            file[clip_id].attrs["label"] = "joy"
    with pytest.raises(StoreError, match=r"v1/gtscore: expected \(T, 1\)"):
        bring(tmp_path, "clip_arrays", tmp_path / "x.h5")
    folder, report = bring(tmp_path, "clip_arrays", tmp_path / "x.h5", streams=["features"])
    assert_is(folder)
    assert report.cells["v1"] == {"n_frames": "2", "label": "joy"}
    with h5py.File(tmp_path / "y.h5", "w") as file:
        for clip_id, tokens in CLIPS.items():
            file[f"audio/{clip_id}"] = tokens
    options = ["streams_first=true"]
    folder, _ = bring(tmp_path, "clip_arrays", tmp_path / "y.h5", *options, recipe="y")
    assert_is(folder, "audio")


def store_of_clips(tmp_path):
    recipe = Recipe("toy", {"audio": StreamSpec(3, "float32")})
    fill(tmp_path / "store", recipe, {i: {"audio": tokens} for i, tokens in CLIPS.items()})
    return {clip_id: {"label": "joy", "split": "train"} for clip_id in CLIPS}


@pytest.mark.parametrize("form", ["clip_arrays", "pt"])
def test_what_goes_out_comes_back(tmp_path, form):
    cells = store_of_clips(tmp_path)
    out = send(tmp_path, form, cells=cells)
    folder, report = bring(tmp_path, form, out)
    assert_is(folder, "audio")
    assert report.cells == cells
    if form == "clip_arrays":
        with h5py.File(out) as file:
            assert file["v1/audio"][:].tobytes() == CLIPS["v1"].tobytes()
    else:
        assert torch.load(out, weights_only=True)["ids"] == list(CLIPS)


def sequence(path, root, clips, *, metadata=True):
    """Write a .csd as mmsdk's computational sequence does (writeToDisk)."""
    with h5py.File(path, "w") as file:
        for clip_id, tokens in clips.items():
            file[f"{root}/data/{clip_id}/features"] = tokens
            times = np.arange(len(tokens) + 1) / 2.0
            file[f"{root}/data/{clip_id}/intervals"] = np.stack([times[:-1], times[1:]], axis=1)
        if metadata:
            text = h5py.string_dtype("utf-8")
            for key, value in {
                "root name": root,
                "md5": None,
                "dimension names": ["a", "b"],
            }.items():
                file.create_dataset(f"{root}/metadata/{key}", (1,), text)[0] = json.dumps(value)


def test_computational_sequences_keep_their_metadata(tmp_path):
    (tmp_path / "in").mkdir()
    aligned = {"v0[0]": CLIPS["v0"], "v0[1]": CLIPS["v1"]}
    sequence(tmp_path / "in" / "a.csd", "COVAREP", aligned)
    sequence(tmp_path / "in" / "b.csd", "glove_vectors", aligned)
    labels = {clip_id: np.array([[1.5]]) for clip_id in aligned}
    sequence(tmp_path / "in" / "c.csd", "Opinion Segment Labels", labels)
    folder, report = bring(tmp_path, "csd", tmp_path / "in", "times=true")
    assert_is(folder, "COVAREP", aligned)
    assert folder.read("COVAREP-intervals", ["v0[1]"]).values.tolist() == [[0, 0.5], [0.5, 1]]
    metadata = folder.recipe.facts["metadata"]["COVAREP"]
    assert metadata == {"root name": "COVAREP", "md5": None, "dimension names": ["a", "b"]}
    assert report.cells["v0[1]"] == {
        "dialogue": "v0", "turn": "1", "start_seconds": "0", "end_seconds": "0.5",
        "Opinion-Segment-Labels": "1.5",
    }  # fmt: skip
    assert "(aligned)" in report.table()


@pytest.mark.parametrize("text", ['{"a": NaN}', '"\\ud800"', "[" * 999, "plain"])
def test_metadata_that_are_no_json_are_kept_as_text(tmp_path, text):
    sequence(tmp_path / "a.csd", "COVAREP", CLIPS, metadata=False)
    with h5py.File(tmp_path / "a.csd", "a") as file:
        file["COVAREP/metadata/contact"] = [text]
        file["COVAREP/metadata/version"] = [np.nan]
    folder, _ = bring(tmp_path, "csd", tmp_path / "a.csd")
    assert folder.recipe.facts["metadata"]["COVAREP"]["version"] == ["nan"]


def test_sequences_that_are_not_aligned_are_whole_videos_and_no_infinity_is_stored(tmp_path):
    clips = CLIPS | {"v9": np.array([[1, 2, -np.inf]], "f4")}  # COVAREP has such
    sequence(tmp_path / "a.csd", "COVAREP", clips)
    folder, report = bring(tmp_path, "csd", tmp_path / "a.csd")
    assert_is(folder, "COVAREP")
    assert "not finite" in folder.failures["v9"]
    assert "whole videos" in report.table()
    with h5py.File(tmp_path / "a.csd", "a") as file:
        del file["COVAREP/data/v1/intervals"]
    with pytest.raises(StoreError, match=r"v1 has no intervals for 2 tokens"):
        bring(tmp_path, "csd", tmp_path / "a.csd", recipe="b")


def test_a_folder_of_video_features_as_it_is(tmp_path):
    folder = tmp_path / "clip" / "ViT-B_32"
    folder.mkdir(parents=True)
    for clip_id, tokens in CLIPS.items():  # utils.make_path: STEM_KEY.npy
        np.save(folder / f"{clip_id}_clip.npy", tokens)
        np.save(folder / f"{clip_id}_fps.npy", np.array(25.0))
        np.save(folder / f"{clip_id}_timestamps_ms.npy", np.arange(len(tokens)) * 40.0)
    found, _ = bring(tmp_path, "video_features", tmp_path / "clip")
    assert_is(found, "clip")
    assert found.notes["v2"] == {"fps": 25.0}
    np.save(folder / "v1_clip.npy", CLIPS["v0"])
    with pytest.raises(StoreError, match=r"v1_clip.npy: 1 tokens, but .* has 2 times; make"):
        bring(tmp_path, "video_features", tmp_path / "clip", recipe="b")
    for name in ("rgb", "flow"):
        (tmp_path / "i3d").mkdir(exist_ok=True)
        np.save(tmp_path / "i3d" / f"a_b_{name}.npy", CLIPS["v2"])
    found, _ = bring(tmp_path, "video_features", tmp_path / "i3d", recipe="c")
    assert (list(found.ids), sorted(found.recipe.streams)) == (["a_b"], ["flow", "rgb"])


def test_emotion2vec_has_lengths_and_labels_in_lists(tmp_path):
    np.save(tmp_path / "train.npy", np.concatenate(list(CLIPS.values())))
    (tmp_path / "train.lengths").write_text("1\n2\n3\n")
    with pytest.raises(StoreError, match=r"no ids: train.emo has no line ID LABEL"):
        bring(tmp_path, "emotion2vec", tmp_path / "train.npy")
    (tmp_path / "train.emo").write_text("v0\tneu\nv1\thap\nv2\tsad\n")
    folder, report = bring(tmp_path, "emotion2vec", tmp_path / "train.npy")
    assert_is(folder, "emotion2vec")
    assert report.cells["v1"] == {"split": "train", "label": "hap"}
    (tmp_path / "train.lengths").write_text("1\n2\n4\n")
    with pytest.raises(StoreError, match=r"has 6 tokens, and train.lengths sums to 7"):
        bring(tmp_path, "emotion2vec", tmp_path / "train.npy", recipe="b")


def test_tensors_by_clip_and_by_name(tmp_path):
    torch.save({i: torch.tensor(tokens) for i, tokens in CLIPS.items()}, tmp_path / "x.pt")
    assert_is(bring(tmp_path, "pt", tmp_path / "x.pt")[0])
    stacked = {"names": ["a", "b"], "audio": torch.ones(2, 4), "label": torch.tensor([1, 0])}
    torch.save(stacked, tmp_path / "y.pt")
    folder, report = bring(tmp_path, "pt", tmp_path / "y.pt", recipe="y")
    assert (list(folder.ids), report.cells["a"]) == (["a", "b"], {"label": "1"})
    torch.save(torch.ones(2, 4), tmp_path / "z.pt")
    with pytest.raises(StoreError, match=r"no clip ids.*-o ids=#row"):
        bring(tmp_path, "pt", tmp_path / "z.pt", recipe="z")
    torch.save({"a": torch.nn.Linear(1, 1)}, tmp_path / "z.pt")
    with pytest.raises(StoreError, match=r"weights_only=True"):
        bring(tmp_path, "pt", tmp_path / "z.pt", recipe="z")


def test_clip_retrieval_has_its_ids_in_metadata(tmp_path):
    for name in ("img_emb", "metadata"):
        (tmp_path / "in" / name).mkdir(parents=True)
    for number, ids in enumerate([["a", "b"], ["c"]]):
        values = RNG.normal(size=(len(ids), 4)).astype("f2")
        np.save(tmp_path / "in" / "img_emb" / f"img_emb_{number}.npy", values)
        frame = pd.DataFrame({"image_path": ids, "caption": [f"so {i}" for i in ids]})
        frame.to_parquet(tmp_path / "in" / "metadata" / f"metadata_{number}.parquet")
    folder, report = bring(tmp_path, "clip_retrieval", tmp_path / "in")
    assert list(folder.ids) == ["a", "b", "c"]
    assert folder.read("image", ["c"]).values.tobytes() == values.tobytes()
    assert report.cells["b"] == {"text": "so b"}
    np.save(tmp_path / "in" / "img_emb" / "img_emb_1.npy", np.ones((2, 4), "f2"))
    with pytest.raises(StoreError, match=r"img_emb_1.npy: has 2 rows, and .*metadata_1.parquet 1"):
        bring(tmp_path, "clip_retrieval", tmp_path / "in", recipe="b")


def test_labels_of_several_segments_and_words_are_said(tmp_path):
    (tmp_path / "in").mkdir()
    sequence(tmp_path / "in" / "a.csd", "COVAREP", CLIPS)
    labels = {"v0": np.ones((2, 1)), "v1": np.ones((1, 1))}
    sequence(tmp_path / "in" / "c.csd", "Opinion Segment Labels", labels)
    words = {"v0": np.array([[b"so"], [b"sp"], [b"good"]])}
    sequence(tmp_path / "in" / "w.csd", "words", words)
    folder, report = bring(tmp_path, "csd", tmp_path / "in")
    assert list(folder.recipe.streams) == ["COVAREP"]
    assert report.cells["v0"] == {"words": "so good"}
    assert report.cells["v1"]["Opinion-Segment-Labels"] == "1"
    assert "1 video such as v0 with several labelled segments: their labels are left" in (
        report.table()
    )


def test_a_list_of_dicts_has_the_ids_that_it_says(tmp_path):
    rows = [{"id": i, "x": torch.ones(2), "label": torch.tensor([k])} for k, i in enumerate("ab")]
    torch.save(rows, tmp_path / "x.pt")
    folder, report = bring(tmp_path, "pt", tmp_path / "x.pt")
    assert (list(folder.ids), list(folder.recipe.streams)) == (["a", "b"], ["x"])
    assert report.cells == {"a": {"label": "0"}, "b": {"label": "1"}}
    torch.save([*rows, rows[0]], tmp_path / "x.pt")
    with pytest.raises(StoreError, match="two dicts of the list have one id"):
        bring(tmp_path, "pt", tmp_path / "x.pt", recipe="b")


def test_a_label_of_a_streams_name_goes_out_and_an_array_of_labels_comes_in(tmp_path):
    cells = {i: {"audio": f"of {i}"} for i in CLIPS}
    store_of_clips(tmp_path)
    out = send(tmp_path, "clip_arrays", cells=cells)
    with h5py.File(out, "a") as file:
        for clip_id in CLIPS:
            file[f"{clip_id}/onehot"] = np.eye(2)[0]
    folder, report = bring(tmp_path, "clip_arrays", out)
    assert list(folder.recipe.streams) == ["audio"]
    expected = {"audio": "of v0", "onehot_0": "1", "onehot_1": "0"}
    assert report.cells["v0"] == expected


@pytest.mark.parametrize("between", ["\t", " "])
def test_emotion2vec_may_have_ids_with_blanks(tmp_path, between):
    np.save(tmp_path / "train.npy", np.ones((2, 3), "f4"))
    (tmp_path / "train.lengths").write_text("1\n1\n")
    (tmp_path / "train.emo").write_text(f"a b{between}joy\nc d{between}sad\n")
    _, report = bring(tmp_path, "emotion2vec", tmp_path / "train.npy")
    expected = {
        "a b": {"split": "train", "label": "joy"},
        "c d": {"split": "train", "label": "sad"},
    }
    assert report.cells == expected


@pytest.mark.parametrize("name", ["x.pkl", "x.npy"])
def test_a_pickled_dict_has_an_array_for_each_id(tmp_path, name):
    clips = {f"s1/{clip_id}": tokens for clip_id, tokens in CLIPS.items()}
    if name == "x.npy":
        np.save(tmp_path / name, clips)
    else:
        labelled = {i: {"features": tokens, "label": "joy"} for i, tokens in clips.items()}
        (tmp_path / name).write_bytes(pickle.dumps(labelled))
    with pytest.raises(StoreError, match="is a pickle"):
        bring(tmp_path, "clip_arrays", tmp_path / name)
    folder, report = bring(tmp_path, "clip_arrays", tmp_path / name, allow_pickle=True)
    assert_is(folder, "features", clips)
    assert report.cells == ({} if name == "x.npy" else {key: {"label": "joy"} for key in clips})


def test_arrays_called_as_labels_are_are_no_clips(tmp_path):
    clips = {"a": np.ones((2, 3)), "b": np.zeros((1, 3))}
    labels = {"labels": np.arange(3.0), "names": np.array(["a", "b"]), "a_mood": np.array("joy")}
    np.savez(tmp_path / "c.npz", **clips, **labels)
    folder, report = bring(tmp_path, "clip_arrays", tmp_path / "c.npz")
    assert list(folder.ids) == ["a", "b"]
    assert "labels: called as labels are, no clips, left out" in report.lines
    assert "text and single values of no clip, left out: names, a_mood" in report.lines
    np.savez(tmp_path / "x.npz", X=np.ones((4, 3)), y=np.arange(3.0))
    with pytest.raises(StoreError, match=r"x.npz: X, y: arrays of many clips.*import xy` reads"):
        bring(tmp_path, "clip_arrays", tmp_path / "x.npz", recipe="x")
    (tmp_path / "in").mkdir()
    for name, array in {**clips, "labels": np.arange(3.0)}.items():
        np.save(tmp_path / "in" / f"{name}.npy", array)
    folder, report = bring(tmp_path, "files", tmp_path / "in", recipe="files")
    assert list(folder.ids) == ["a", "b"]
    assert "labels.npy: called as labels are, no clips, left out" in report.lines


def test_words_of_a_clip_are_one_cell(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["a/x"], file["a/words"] = np.ones((2, 3)), ["oh", "no"]
    _, report = bring(tmp_path, "clip_arrays", tmp_path / "c.h5")
    assert report.cells == {"a": {"words": "oh no"}}


def test_whole_numbers_in_a_pt_file_may_be_ids(tmp_path):
    torch.save({"ids": torch.tensor([7, 9]), "X": torch.ones(2, 3)}, tmp_path / "t.pt")
    folder, _ = bring(tmp_path, "pt", tmp_path / "t.pt")
    assert list(folder.ids) == ["7", "9"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": np.array(["a"]), "x": np.ones((1, 3), np.longdouble)}, "stream 'x': dtype 'float"),
        ({"ids": np.array(["a"]), "x": np.ones((1, 0))}, "stream 'x': its description"),
        ({"ids": np.array([], "U1"), "x": np.ones((0, 3))}, "holds no clips"),
    ],
)
def test_what_no_store_holds_is_refused_with_the_name_of_the_file(tmp_path, arrays, message):
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(StoreError, match=rf"odd.npz: {message}"):
        bring(tmp_path, "npz", tmp_path / "odd.npz")
