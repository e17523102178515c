"""MATLAB's files: scipy writes version 5; version 7.3 is laid out as MATLAB does, with h5py."""

import contextlib

import h5py
import numpy as np
import pytest
import scipy.io
from scipy.sparse import csc_array

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.store.exchange.readers.matlab5 import MatlabObject, matlab5_variables
from tests.store.interop.bring import bring

X = np.arange(12.0).reshape(4, 3)
IDS = ["clip a", "b", "ç", "d"]


def cell(values):
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


CELLS = [X[:1], X[:2], X[:3], X]


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_cells_and_labels_of_version_5(tmp_path, compressed):
    variables = {"ids": cell(IDS), "face": X, "audio": cell(CELLS), "emotion": [[1], [2], [1], [2]]}
    variables |= {"scale": 3.0, "info": {"by": "me", "pose": X[:, :2]}}
    scipy.io.savemat(tmp_path / "x.mat", variables, do_compression=compressed)
    folder, report = bring(tmp_path, "mat", tmp_path / "x.mat")
    assert list(folder.ids) == IDS
    assert folder.read("face").values.tolist() == X.tolist()
    assert folder.read("info-pose").values.tolist() == X[:, :2].tolist()
    assert [each.tolist() for each in folder.read("audio")] == [each.tolist() for each in CELLS]
    assert report.cells["b"] == {"emotion": "2"}


def matlab(file, name, kind, data):
    found = file.create_dataset(name, data=data)
    found.attrs["MATLAB_class"] = np.bytes_(kind)
    return found


def chars(file, name, text):
    matlab(file, name, "char", np.frombuffer(text.encode("utf-16-le"), "u2")[:, None])


def write_73(path):
    """Write what MATLAB R2019b does: transposed arrays, cells as references into #refs#."""
    with h5py.File(path, "w", userblock_size=512) as file:
        matlab(file, "face", "double", X.T)
        matlab(file, "emotion", "double", [[1.0, 2.0, 1.0, 2.0]])
        references = {"ids": [], "audio": []}
        for row, (text, tokens) in enumerate(zip(IDS, CELLS, strict=True)):
            chars(file, f"#refs#/t{row}", text)
            matlab(file, f"#refs#/a{row}", "single", tokens.T.astype("f4"))
            references["ids"].append(file[f"#refs#/t{row}"].ref)
            references["audio"].append(file[f"#refs#/a{row}"].ref)
        for name, each in references.items():
            matlab(file, name, "cell", np.array([each], dtype=h5py.ref_dtype))
        found = matlab(file, "words", "string", np.arange(6, dtype="u4")[None])
        found.attrs["MATLAB_object_decode"] = np.int32(3)
        matlab(file, "nothing", "cell", np.zeros(2, "u8")).attrs["MATLAB_empty"] = np.uint8(1)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


def test_version_7_3_is_transposed_and_its_objects_are_left_out(tmp_path):
    write_73(tmp_path / "x.mat")
    folder, report = bring(tmp_path, "mat", tmp_path / "x.mat")
    assert list(folder.ids) == IDS
    assert folder.read("face").values.tolist() == X.tolist()
    assert [each.tolist() for each in folder.read("audio")] == [each.tolist() for each in CELLS]
    assert report.cells["b"] == {"emotion": "2"}
    assert "words (an object)" in report.table()


def test_columns_are_clips_when_said(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"X": X.T, "ids": cell(IDS)})
    with pytest.raises(StoreError, match=r"x.mat: X \(3, 4\): expected 4 rows"):
        bring(tmp_path, "mat", tmp_path / "x.mat")
    folder, _ = bring(tmp_path, "mat", tmp_path / "x.mat", "transpose=true")
    assert folder.read("X").values.tolist() == X.tolist()


def test_ids_are_never_invented(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"X": X})
    with pytest.raises(StoreError, match=r"x.mat: no clip ids: .* clips with -o ids=#row"):
        bring(tmp_path, "mat", tmp_path / "x.mat")
    assert list(bring(tmp_path, "mat", tmp_path / "x.mat", "ids=#row")[0].ids) == list("0123")


def test_a_compressed_bomb_and_ragged_cells_are_refused(tmp_path):
    variables = {"X": np.zeros((1000, 1000)), "ids": cell(IDS)}
    scipy.io.savemat(tmp_path / "x.mat", variables, do_compression=True)
    with pytest.raises(StoreError, match="a variable, decompressed would take"):
        bring(tmp_path, "mat", tmp_path / "x.mat", most_bytes=2**20)
    scipy.io.savemat(tmp_path / "x.mat", {"X": cell([X, X[:, :2], X, X]), "ids": cell(IDS)})
    with pytest.raises(StoreError, match=r"X: expected matrices .*X\{1\} has 3|X\{2\} has 2"):
        bring(tmp_path, "mat", tmp_path / "x.mat")


KINDS = {
    "double": X, "int8": np.array([[1, -2]], "i1"), "uint64": np.array([[2**60]], "u8"),
    "single": np.ones((2, 2, 3), "f4"), "logical": np.array([[True, False]]), "scalar": 1.0,
    "small": np.array([[1, 2]], "u1"), "empty": np.zeros((0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
def test_variables_are_those_that_scipy_reads(tmp_path, compressed):
    more = {"z": np.array([[1j]]), "sparse": csc_array(np.eye(3)), "text": ["ab", "cde"]}
    scipy.io.savemat(tmp_path / "x.mat", KINDS | more, do_compression=compressed)
    budget = Budget(2**20, "x.mat", "--most-bytes", StoreError)
    ours, theirs = (
        matlab5_variables(tmp_path / "x.mat", budget),
        scipy.io.loadmat(tmp_path / "x.mat"),
    )
    for name in KINDS:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert ours["double"].dtype == theirs["double"].dtype
    assert ours["text"] == ["ab", "cde"]
    assert isinstance(ours["z"], MatlabObject)
    assert isinstance(ours["sparse"], MatlabObject)


def test_a_damaged_byte_is_an_error_or_another_number(tmp_path):
    """scipy's reader ends the process on some of these."""
    scipy.io.savemat(tmp_path / "x.mat", {"X": X[:1], "ids": cell(["a"])})
    whole = (tmp_path / "x.mat").read_bytes()
    for position in range(128, len(whole)):
        damaged = whole[:position] + b"\xff" + whole[position + 1 :]
        (tmp_path / "y.mat").write_bytes(damaged)
        budget = Budget(2**20, "y.mat", "--most-bytes", StoreError)
        with contextlib.suppress(StoreError):
            matlab5_variables(tmp_path / "y.mat", budget)


def test_ids_of_doubles_and_cells_of_column_vectors(tmp_path):
    cells = [row[:, None] for row in X]
    scipy.io.savemat(tmp_path / "x.mat", {"id": [[7.0], [8.0], [9.0], [4.0]], "X": cell(cells)})
    folder, report = bring(tmp_path, "mat", tmp_path / "x.mat")
    assert list(folder.ids) == ["7", "8", "9", "4"]
    assert folder.read("X").values.tolist() == X.tolist()
    assert "X: cells of column vectors (3, 1): one token of 3 numbers each" in report.table()
