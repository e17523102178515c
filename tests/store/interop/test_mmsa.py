"""MMSA's own pickles: padding, BERT's mask, splits, ids that collide, and pickles that attack."""

import os
import pickle
import pickletools

import numpy as np
import pytest

from emo.errors import StoreError
from emo.manifest import read_manifest
from emo.store import Store
from emo.store.exchange.transfer import import_file
from emo.store.exchange.unpickle import read_pickle


def split(ids, **extra):
    """As the published unaligned files have it: no lengths of the text, but BERT's mask."""
    n = len(ids)
    mask = np.zeros((n, 3, 5), np.float32)
    mask[:, 1, :2] = 1
    text, audio = np.zeros((n, 5, 3), np.float32), np.zeros((n, 4, 2))
    text[:, :2], audio[:, :3] = 1, 2
    return {
        "id": ids, "raw_text": np.array(["hi"] * n), "text": text, "text_bert": mask,
        "audio": audio, "audio_lengths": [3] * n, "regression_labels": np.zeros(n), **extra,
    }  # fmt: skip


def write(tmp_path, document, protocol=4):
    path = tmp_path / "mosi.pkl"
    path.write_bytes(pickle.dumps(document, protocol))
    return path


def bring(path, *options):
    import_file("mmsa", path, path.parent / "store", options=options, allow_pickle=True)
    return Store(path.parent / "store").recipes["mosi"]


@pytest.mark.parametrize("protocol", range(6))
def test_published_layout_is_read_in_every_protocol(tmp_path, protocol):
    document = {"train": split(["v$_$1", "v$_$2"]), "valid": split(["w$_$1"]), "test": split([])}
    folder = bring(write(tmp_path, document, protocol))
    assert list(folder.ids) == ["v$_$1", "v$_$2", "w$_$1"]
    assert folder.read("text").lengths.tolist() == [2, 2, 2]
    assert folder.read("audio").lengths.tolist() == [3, 3, 3]
    assert (folder.read("audio").values == 2).all()
    assert set(folder.recipe.streams) == {"text", "audio"}


def test_labels_and_splits_become_a_manifest(tmp_path, emo):
    labels = np.array([[-1.5], [0.25]], np.float32)
    part = split(["v$_$1", "v$_$2"], regression_labels=labels, annotations=["Negative", "Positive"])
    part["raw_text"] = np.array(["so, so", ""])
    write(tmp_path, {"train": part, "test": split(["w$_$1"])})
    words = ("store", "import", "mmsa", "mosi.pkl", "--allow-pickle", "--manifest", "m.csv")
    code, out, err = emo(*words)
    assert (code, "labels: m.csv" in out) == (0, True), err
    clips = read_manifest(tmp_path / "m.csv").clips
    assert [(c.id, c.split) for c in clips] == [
        ("v$_$1", "train"), ("v$_$2", "train"), ("w$_$1", "test")
    ]  # fmt: skip
    assert clips[0].text == "so, so"
    assert [c.targets["label"] for c in clips] == ["-1.5", "0.25", "0.0"]
    assert clips[1].targets["annotation"] == "Positive"
    np.savez(tmp_path / "x.npz", ids=["a"], x=np.ones((1, 2)))
    code, _, err = emo("store", "import", "npz", "x.npz", "--manifest", "n.csv")
    assert (code, "x.npz has no labels" in err) == (1, True)


def test_padding_without_lengths_is_refused(tmp_path):
    part = split(["a"])
    del part["audio_lengths"]
    with pytest.raises(StoreError, match=r"mosi.pkl\[train\]: audio .*padded tokens without len"):
        bring(write(tmp_path, {"train": part}))
    folder = bring(write(tmp_path, {"train": part | {"n": [3]}}), "lengths=n")
    assert folder.read("audio").lengths.tolist() == [3]


def test_ids_that_collide_between_splits_need_the_split_in_them(tmp_path):
    path = write(tmp_path, {"train": split(["a"]), "valid": split(["a"])})
    with pytest.raises(StoreError, match="holds clip 'a' twice"):
        bring(path)
    assert list(bring(path, "split_in_id=true").ids) == ["train/a", "val/a"]


def test_a_pickle_is_read_only_when_asked_for(tmp_path):
    path = write(tmp_path, {"train": split(["a"])})
    with pytest.raises(StoreError, match=r"a pickle can run code. --allow-pickle"):
        import_file("mmsa", path, tmp_path / "store")
    with pytest.raises(StoreError, match="npz holds no pickles"):
        import_file("npz", path, tmp_path / "store", allow_pickle=True)


class Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ATTACKS = {
    "system": Runs(os.system, "touch ran"),
    "eval": Runs(eval, "open('ran', 'w')"),
    "getattr": Runs(getattr, "text", "format"),
    "in an array": np.array([Runs(os.system, "touch ran")], dtype=object),
    "numpy's loader": Runs(np.load, "x.npy", None, True),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_pickle_that_wants_more_than_numbers_is_refused_and_runs_nothing(
    name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, {"train": split(["a"], evil=ATTACKS[name])})
    with pytest.raises(StoreError, match=r"mosi.pkl: refused: .*only|refused: holds a set"):
        bring(path)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["mosi.pkl"]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x80\x04.", b"\x80\x04N", b"hello", pickle.dumps({"a": 1})[:-3],
        b"cnumpy\ndtype\n(S'V8'\ntR.", b"cnumpy\nndarray\n(tR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRS'abc'\ntR.",
        b"\x80\x04" + b"]" * 5000 + b"a" * 4999 + b".",
    ],
)  # fmt: skip
def test_broken_pickles_are_one_line(data, tmp_path):
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(StoreError, match=r"x\.pkl") as caught:
        import_file("mmsa", tmp_path / "x.pkl", tmp_path / "store", allow_pickle=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "part", [[1], {"id": ["a"], "x": 1.5}, {"id": ["a"], "audio": [[1], [1, 2]]}]
)
def test_other_layouts_are_one_line(part, tmp_path):
    with pytest.raises(StoreError, match=r"mosi\.pkl"):
        bring(write(tmp_path, {"train": part}))


def test_an_array_that_claims_more_than_its_bytes_is_refused(tmp_path):
    data = pickle.dumps(np.zeros(3), protocol=2)
    shape = b"K\x03\x85"  # (3,)
    assert shape in data
    (tmp_path / "x.pkl").write_bytes(data.replace(shape, b"J\xff\xff\xff\x7f\x85"))
    with pytest.raises(StoreError, match="cannot reshape array"):
        read_pickle(tmp_path / "x.pkl")


def test_a_bomb_of_references_stays_small(tmp_path):
    bomb = ["x" * 100]
    for _ in range(60):
        bomb = [bomb, bomb]
    data = pickle.dumps(bomb)
    assert len(pickletools.optimize(data)) < 2000
    (tmp_path / "x.pkl").write_bytes(data)
    found = read_pickle(tmp_path / "x.pkl")
    assert found[0] is found[1]


@pytest.mark.parametrize("order", "CF")
def test_arrays_of_every_kind_come_back(order, tmp_path):
    arrays = {
        "f2": np.arange(6, dtype=np.float16), "big": np.arange(3, dtype=">i4"),
        "text": np.array(["a", "bé"]), "bool": np.array([True, False]),
        "table": np.array([[1.5, 2], [3, 4]], order=order), "none": np.zeros((0, 3)),
        "words": np.array(["a", 1, None], dtype=object), "number": np.float32(1.5),
        "list": [1, "x"],
    }  # fmt: skip
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(arrays))
    found = read_pickle(tmp_path / "x.pkl")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        if isinstance(array, np.ndarray):
            assert found[name].dtype == array.dtype


@pytest.mark.parametrize("unknown", [np.nan, None])
def test_unknown_labels_become_empty_cells(tmp_path, emo, unknown):
    labels = np.array([0.5, unknown, -1.0], float)
    part = split(["a", "b", "c"], regression_labels=labels, annotations=["P", unknown, "nan"])
    part["raw_text"] = np.array(["so", "nan", "hm"])
    write(tmp_path, {"train": part})
    words = ("store", "import", "mmsa", "mosi.pkl", "--allow-pickle", "--manifest", "m.csv")
    code, out, err = emo(*words)
    assert code == 0, err
    assert "unknown labels (nan), left empty:" in out
    clips = read_manifest(tmp_path / "m.csv").clips
    cells = [(clip.targets.get("label"), clip.targets.get("annotation")) for clip in clips]
    assert cells == [("0.5", "P"), (None, None), ("-1.0", None)]
    assert clips[1].text == "nan"  # a word that was said
