"""scikit-learn's X and y: .npy, .npz, joblib's files and arrays of objects."""

import os
import pickle

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris

from emo.errors import StoreError
from tests.store.interop.bring import bring

X = np.arange(12, dtype="f4").reshape(4, 3)
Y = np.array(["joy", "fear", "joy", "sad"])
RAGGED = np.empty(4, object)
RAGGED[:] = [X[:1], X[:2], X[:3], X]


def test_npy_files_of_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "X.npy", X)
    np.save(tmp_path / "in" / "y.npy", Y)
    with pytest.raises(StoreError, match=r"no array of clip ids .* number the clips with -o ids="):
        bring(tmp_path, "xy", tmp_path / "in")
    folder, report = bring(tmp_path, "xy", tmp_path / "in", "ids=#row")
    assert list(folder.ids) == ["0", "1", "2", "3"]
    assert folder.read("features").values.tolist() == X.tolist()
    assert report.cells["3"] == {"label": "sad"}


def test_splits_and_streams_are_in_the_names(tmp_path):
    np.savez(
        tmp_path / "x.npz", X_audio_train=X[:3], X_audio_test=X[3:], X_text_train=X[:3, :2],
        X_text_test=X[3:, :2], y_train=Y[:3], y_test=Y[3:], ids_train=list("abc"), ids_test=["d"],
    )  # fmt: skip
    folder, report = bring(tmp_path, "xy", tmp_path / "x.npz")
    assert (list(folder.ids), sorted(folder.recipe.streams)) == (list("abcd"), ["audio", "text"])
    assert report.cells["d"] == {"split": "test", "label": "sad"}
    assert folder.read("text", ["d"]).values.tolist() == [[9, 10]]


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3)])
def test_joblib_is_read_without_joblib(tmp_path, compress):
    iris = load_iris()
    data = {"X": iris.data, "y": iris.target, "ids": [f"i{k}" for k in range(150)]}
    joblib.dump(data, tmp_path / "x.joblib", compress=compress)
    with pytest.raises(StoreError, match=r"x.joblib is a pickle.*--allow-pickle"):
        bring(tmp_path, "xy", tmp_path / "x.joblib")
    folder, report = bring(tmp_path, "xy", tmp_path / "x.joblib", allow_pickle=True)
    assert folder.read("features").values.tobytes() == iris.data.tobytes()
    assert report.cells["i149"] == {"label": "2"}


def test_arrays_of_objects_are_ragged_tokens(tmp_path):
    np.save(tmp_path / "X.npy", RAGGED)
    with pytest.raises(StoreError, match=r"X.npy is a pickle"):
        bring(tmp_path, "xy", tmp_path / "X.npy", "ids=#row")
    folder, _ = bring(tmp_path, "xy", tmp_path / "X.npy", "ids=#row", allow_pickle=True)
    assert folder.read("features").lengths.tolist() == [1, 2, 3, 4]
    joblib.dump((RAGGED, Y), tmp_path / "x.joblib")
    options = {"allow_pickle": True, "recipe": "b"}
    folder, _ = bring(tmp_path, "xy", tmp_path / "x.joblib", "ids=#row", **options)
    assert folder.read("features", ["3"]).values.tolist() == X.tolist()


class Attack:
    def __reduce__(self):
        return os.system, ("echo owned",)


@pytest.mark.parametrize("write", [joblib.dump, lambda x, f: f.write_bytes(pickle.dumps(x))])
def test_no_function_that_a_pickle_names_is_called(tmp_path, write, capfd):
    write({"X": X, "y": Attack()}, tmp_path / "x.pkl")
    with pytest.raises(StoreError, match=r"refused: the pickle asks for posix.system"):
        bring(tmp_path, "xy", tmp_path / "x.pkl", "ids=#row", allow_pickle=True)
    assert "owned" not in capfd.readouterr().out


WRONG = {
    "padding": ({"X": np.ones((2, 5, 3)), "ids": ["a", "b"]}, "padded tokens without lengths"),
    "ids": ({"X": X, "ids": ["a"]}, "1 id for X of 4 clips"),
    "y": ({"X": X, "y": Y[:2], "ids": list("abcd")}, "y has 2 cells for 4 clips"),
    "words": ({"X": Y[:, None], "ids": list("abcd")}, "expected numbers .N, D."),
    "none": ({"Z": X}, "no array X, X_train …; found Z"),
    "padded in front": (
        {"X": np.eye(3)[None, :, :], "X_lengths": [2], "ids": ["a"]},
        "beyond its 2 tokens",
    ),
    "empty": ({"X": np.ones((0, 3)), "ids": []}, "X has no clips"),
    "no width": ({"X": np.ones((2, 0)), "ids": ["a", "b"]}, "expected numbers .N, D."),
    "two X": ({"X_train": X, "train_X": X, "ids_train": list("abcd")}, "X_train and train_X are"),
    "twice": ({"X": X, "ids": list("abca")}, "clip 'a' twice"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_refused(tmp_path, what):
    arrays, message = WRONG[what]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(StoreError, match=f"x.npz.*{message}"):
        bring(tmp_path, "xy", tmp_path / "x.npz")


def test_windows_without_padding_are_said_by_option(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.ones((2, 5, 3)), ids=["a", "b"])
    folder, _ = bring(tmp_path, "xy", tmp_path / "x.npz", "fixed=true")
    assert folder.read("features").lengths.tolist() == [5, 5]


def test_splits_may_come_first_and_no_array_is_dropped_without_a_word(tmp_path):
    np.savez(
        tmp_path / "x.npz", train_X=X[:3], test_X=X[3:], train_labels=Y[:3], y_te=Y[3:],
        ids_tr=list("abc"), ids_te=["d"], speaker_train=list("uvw"), speaker_test=["u"], other=X,
        y_val=Y,
    )  # fmt: skip
    folder, report = bring(tmp_path, "xy", tmp_path / "x.npz")
    assert sorted(folder.ids) == list("abcd")
    assert report.cells["a"] == {"split": "train", "label": "joy", "speaker": "u"}
    assert report.cells["d"] == {"split": "test", "label": "sad", "speaker": "u"}
    assert "left out: other, y_val (no X)" in report.table()


def test_two_clips_in_a_list_are_no_x_and_y(tmp_path):
    joblib.dump([X[0], X[1]], tmp_path / "x.joblib")
    folder, _ = bring(tmp_path, "xy", tmp_path / "x.joblib", "ids=#row", allow_pickle=True)
    assert folder.read("features", ["0", "1"]).values.tolist() == X[:2].tolist()
    joblib.dump([X, X], tmp_path / "x.joblib")
    with pytest.raises(StoreError, match="X and y, or two clips"):
        bring(tmp_path, "xy", tmp_path / "x.joblib", "ids=#row", allow_pickle=True)


def test_pickles_of_python_2_are_known_by_their_ending(tmp_path):
    x = np.arange(6.0).reshape(2, 3)
    (tmp_path / "xy.pkl").write_bytes(pickle.dumps({"X": x, "y": ["joy", "fear"]}, protocol=0))
    folder, _ = bring(tmp_path, "xy", tmp_path / "xy.pkl", "ids=#row", allow_pickle=True)
    assert folder.read("features", ["0", "1"]).values.tolist() == x.tolist()


def test_lengths_may_be_whole_floats(tmp_path):
    file = tmp_path / "f.npz"
    x = np.array([[[1.0], [2]], [[3], [0]]])
    np.savez(file, X=x, X_lengths=[2.0, 1.0], ids=["a", "b"])
    folder, _ = bring(tmp_path, "xy", file)
    assert folder.read("features", ["a", "b"]).values.tolist() == [[1], [2], [3]]
    np.savez(file, X=x, X_lengths=[2.0, 0.5], ids=["a", "b"])
    with pytest.raises(StoreError, match="lengths are no 2 whole numbers"):
        bring(tmp_path, "xy", file, recipe="half")


def test_a_dict_of_clips_is_no_x(tmp_path):
    np.save(tmp_path / "d.npy", {"a": np.ones((2, 3)), "b": np.ones((1, 3))})
    with pytest.raises(StoreError, match=r"d.npy: no array X.*found a, b; .*import clip_arrays`"):
        bring(tmp_path, "xy", tmp_path / "d.npy", allow_pickle=True)
