"""Ids, streams and numbers that others wrote in ways of their own: read right, or refused."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emo.errors import StoreError
from emo.store import Recipe, Store, StreamSpec
from emo.store.exchange.transfer import export_file, import_file
from tests.contracts.test_formats import fill

ROWS = [[1.0, 2.0], [3.0, 4.0]]


def import_ids(tmp_path, name, file, **options):
    import_file(name, tmp_path / file, tmp_path / "store", recipe="back", **options)
    return Store(tmp_path / "store").recipes["back"]


IDS = {
    "text": pa.array(["a", "b"]), "large text": pa.array(["a", "b"], pa.large_string()),
    "bytes": pa.array([b"a", b"b"], pa.binary()), "numbers": pa.array([7, 8], pa.int16()),
    "categories": pa.array(["a", "b"]).dictionary_encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_parquet_are_text_or_numbers(kind, tmp_path):
    pq.write_table(pa.table({"ids": ROWS, "id": IDS[kind]}), tmp_path / "x.parquet")
    folder = import_ids(tmp_path, "parquet", "x.parquet")
    assert list(folder.ids) == (["7", "8"] if kind == "numbers" else ["a", "b"])
    assert list(folder.recipe.streams) == ["ids"]


WRONG = {
    "null": (pa.array(["a", None]), "id: the clip in row 2 has no id"),
    "fraction": (pa.array([1.0, 2.0]), r"no column .*or whole numbers; found id \(double\)"),
    "latin": (pa.array([b"M\xfcller", b"b"]), r"id of clip 0, b'M\\xfcller', is not UTF-8"),
    "list": (pa.array(ROWS), "no column"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_other_ids_of_parquet_are_refused(kind, tmp_path):
    ids, message = WRONG[kind]
    pq.write_table(pa.table({"id": ids, "x": ROWS}), tmp_path / "x.parquet")
    with pytest.raises(StoreError, match=rf"x\.parquet: .*{message}"):
        import_ids(tmp_path, "parquet", "x.parquet")


ARRAYS = {
    "latin": (np.array(["Müller".encode("latin1"), b"b"]), r"ids: the id of clip 0.* not UTF-8"),
    "fraction": (np.array([1.0, 2.0]), "no clip ids: expected .N,. text or whole numbers ids"),
    "bool": (np.array([True, False]), "no clip ids"),
}


@pytest.mark.parametrize("name", ["npz", "hdf5"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_other_ids_of_arrays_are_refused(kind, name, tmp_path):
    ids, message = ARRAYS[kind]
    write_arrays(tmp_path / "x", name, ids=ids, x=np.ones((2, 3)))
    with pytest.raises(StoreError, match=f"x: {message}"):
        import_ids(tmp_path, name, "x")


def write_arrays(path, name, **arrays):
    if name == "hdf5":
        with h5py.File(path, "w") as file:
            for key, array in arrays.items():
                file[key] = array
    else:
        with open(path, "wb") as file:
            np.savez(file, **arrays)


@pytest.mark.parametrize("dtype", [">i4", ">f4", ">u2", ">f8"])
def test_numbers_of_the_other_byte_order_are_the_same_numbers(dtype, tmp_path):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    write_arrays(tmp_path / "x", "hdf5", ids=np.array([b"a", b"b"]), x=values)
    folder = import_ids(tmp_path, "hdf5", "x")
    found = folder.read("x", ["a", "b"]).values
    assert (found.dtype, found.tolist()) == (np.dtype(dtype).newbyteorder("="), values.tolist())


def test_an_empty_dataset_is_passed_over(tmp_path):
    arrays = {"ids": [b"a", b"b"], "x": np.ones((2, 3)), "junk": h5py.Empty("f4")}
    write_arrays(tmp_path / "x", "hdf5", **arrays)
    assert list(import_ids(tmp_path, "hdf5", "x").ids) == ["a", "b"]


def test_a_damaged_chunk_of_ids_is_one_line_and_leaves_no_recipe(tmp_path):
    with h5py.File(tmp_path / "x", "w") as file:
        ids = np.array([b"a" * 50] * 1000)
        file.create_dataset("ids", data=ids, chunks=(1000,), compression="gzip")
        file["x"] = np.ones((1000, 3))
        start = file["ids"].id.get_chunk_info(0).byte_offset
    data = bytearray((tmp_path / "x").read_bytes())
    data[start : start + 20] = b"\xff" * 20
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(StoreError, match="x: cannot be read as hdf5: OSError") as caught:
        import_ids(tmp_path, "hdf5", "x")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_columns_of_lists_of_words_are_left_out(tmp_path):
    words = [["hi"], ["oh", "no"]]
    pq.write_table(pa.table({"id": ["a", "b"], "x": ROWS, "w": words}), tmp_path / "x.parquet")
    report = import_file("parquet", tmp_path / "x.parquet", tmp_path / "store")
    assert list(Store(tmp_path / "store").recipes["x"].recipe.streams) == ["x"]
    assert "left out: w" in report.table()


@pytest.mark.parametrize("name", ["npz", "parquet"])
def test_a_stream_that_is_not_asked_for_may_be_wrong(name, tmp_path):
    if name == "parquet":
        table = pa.table({"id": ["a", "b"], "x": ROWS, "bad": [[1.0], [1.0, 2.0]]})
        pq.write_table(table, tmp_path / "f")
    else:
        write_arrays(tmp_path / "f", name, ids=["a", "b"], x=ROWS, bad=np.ones((2, 3, 4)))
    with pytest.raises(StoreError, match="bad"):
        import_ids(tmp_path, name, "f")
    assert list(import_ids(tmp_path, name, "f", streams=["x"]).ids) == ["a", "b"]
    with pytest.raises(StoreError, match="unknown stream 'y'"):
        import_ids(tmp_path, name, "f", streams=["y"])


def store_of(tmp_path, clip_id, stream="x"):
    recipe = Recipe("toy", {stream: StreamSpec(3, "float32"), "other": StreamSpec(3, "float32")})
    fill(tmp_path / "store", recipe, {clip_id: {name: np.ones((2, 3)) for name in recipe.streams}})


@pytest.mark.parametrize(
    ("name", "clip_id", "stream", "message"),
    [
        ("hdf5", "a", "ids", "stream 'ids': an hdf5 file uses this name itself"),
        ("hdf5", "a", "emo", "stream 'emo': an hdf5 file uses"),
        ("mertools", "他说" * 20, "x", "a name of 360 bytes, and file systems allow 251"),
        ("parquet", "a\ud83d", "x", r"clip 'a\\ud83d': its id holds half of a character"),
        ("zarr", "a\ud83d", "x", "half of a character"),
        ("mertools", "a\ud83d", "x", "half of a character"),
    ],
)
def test_what_a_format_cannot_hold_is_one_line(tmp_path, name, clip_id, stream, message):
    store_of(tmp_path, clip_id, stream)
    with pytest.raises(StoreError, match=message):
        export_file(name, tmp_path / "store", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize("name", ["npz", "parquet", "zarr", "mertools"])
@pytest.mark.parametrize("stream", ["ids", "emo"])
def test_streams_may_be_called_as_what_stands_beside_them(tmp_path, name, stream):
    store_of(tmp_path, "a", stream)
    export_file(name, tmp_path / "store", tmp_path / "out")
    import_file(name, tmp_path / "out", tmp_path / "back")
    back = Store(tmp_path / "back").recipes["out"]
    assert (list(back.ids), set(back.recipe.streams)) == (["a"], {stream, "other"})


def test_an_export_that_fails_promises_nothing(tmp_path):
    store_of(tmp_path, "a")
    (tmp_path / "file").touch()
    message = "cannot be written: a file is where its folder should be; nothing is kept"
    with pytest.raises(StoreError, match=message):
        export_file("npz", tmp_path / "store", tmp_path / "file" / "x.npz")
