"""`emo store import`: nothing runs, nothing outside is read, and no file takes more than it may."""

import io
import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from emo.errors import EmoError
from emo.machine.untrusted.foreign import foreign_file
from emo.store import Store
from emo.store.exchange import hdf5_checks, named_arrays
from emo.store.exchange.transfer import import_file
from emo.store.exchange.zarr_metadata import claimed_bytes
from emo.store.interop.zarr import Zarr
from tests.hostile.build import assert_line, refused

LIMIT = 2**24
"""Bytes that these imports may take; what is held at the peak must stay near it."""
IDS = ["a", "b", "c"]


def imported(form, path, tmp_path, *, most_bytes=LIMIT, **more):
    return import_file(form, path, tmp_path / "store", most_bytes=most_bytes, **more)


def bomb(form, path, tmp_path, *words, **more):
    """The import is refused with these words, and takes little memory."""
    tracemalloc.start()
    refused(lambda: imported(form, path, tmp_path, **more), *words)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LIMIT


@pytest.fixture
def mark(tmp_path):
    """A file that code of a stranger would make."""
    yield tmp_path / "ran"
    assert not (tmp_path / "ran").exists()


# Zarr


def zarr_group(path, **options):
    group = zarr.create_group(path, **options)
    group.create_array("clip", shape=(3,), dtype=str, chunks=(3,))[:] = np.array(IDS)
    group.create_array("audio", data=np.ones((3, 4), np.float32))
    return path


def edited(file, **entries):
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


@pytest.mark.parametrize("options", [{"zarr_format": 2}, {"zarr_format": 3}], ids=["v2", "v3"])
def test_what_zarr_itself_writes_is_read(tmp_path, options):
    report = imported("zarr", zarr_group(tmp_path / "z", **options), tmp_path)
    assert report.clips == 3


V2 = {
    "a pickle filter": ({"filters": [{"id": "pickle"}], "dtype": "|O"}, "filter 'pickle'"),
    "a json filter": ({"filters": [{"id": "json2"}], "dtype": "|O"}, "filter 'json2'"),
    "an array of objects": ({"dtype": "|O"}, "dtype |O"),
    "a record": ({"dtype": [["a", "<f4"]]}, "dtype: expected text"),
    "an unknown compressor": ({"compressor": {"id": "evil"}}, "compressor 'evil'"),
    "a lzma compressor": ({"compressor": {"id": "lzma"}}, "compressor 'lzma'"),
    "a shape of 10^12 rows": ({"shape": [10**12, 4]}, "array audio would take"),
    "a chunk of 10^12 cells": ({"chunks": [10**12, 4]}, "a chunk of audio would take"),
    "a negative shape": ({"shape": [-3, 4]}, "a size from 0"),
    "text as shape": ({"shape": "34"}, "shape: expected a list"),
    "no compressor entry": ({"compressor": 3}, "compressor"),
    "format 9": ({"zarr_format": 9}, "Zarr format 2 or 3"),
}


@pytest.mark.parametrize(("entries", "words"), V2.values(), ids=V2)
def test_zarr_v2_metadata_is_held_against_a_list_before_zarr_opens_it(
    tmp_path, monkeypatch, entries, words
):
    path = zarr_group(tmp_path / "z", zarr_format=2)
    edited(path / "audio" / ".zarray", **entries)
    monkeypatch.setattr(zarr, "open_group", lambda *_, **__: pytest.fail("zarr opened it"))
    bomb("zarr", path, tmp_path, "audio", words.replace("|", r"\|"))


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
V3 = {
    "a pickle codec": ({"codecs": [{"name": "numcodecs.pickle"}]}, "codec 'numcodecs.pickle'"),
    "a module": ({"codecs": [{"name": "os:system"}]}, "codec 'os:system'"),
    "two compressions": ({"codecs": [BYTES, {"name": "zstd"}, {"name": "gzip"}]}, "several"),
    "a codec inside a shard": (
        {
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {"codecs": [{"name": "pickle"}], "index_codecs": []},
                }
            ]
        },
        "codec 'pickle' inside a shard",
    ),
    "a shard of nothing": ({"codecs": [{"name": "sharding_indexed"}]}, "without a list of codecs"),
    "codecs that are text": ({"codecs": "bytes"}, "codecs: expected a list"),
    "a storage transformer": ({"storage_transformers": [{"name": "x"}]}, "storage transformers"),
    "objects": ({"data_type": "object"}, "data type object"),
    "a type from elsewhere": ({"data_type": {"name": "numpy.void"}}, "data type"),
    "a shape of 10^12 rows": ({"shape": [10**12, 4]}, "array audio would take"),
    "nesting": ({"attributes": json.loads(200 * "[" + 200 * "]")}, "nested more than"),
}


@pytest.mark.parametrize(("entries", "words"), V3.values(), ids=V3)
def test_zarr_v3_metadata_is_held_against_a_list_before_zarr_opens_it(
    tmp_path, monkeypatch, entries, words
):
    path = zarr_group(tmp_path / "z")
    edited(path / "audio" / "zarr.json", **entries)
    monkeypatch.setattr(zarr, "open_group", lambda *_, **__: pytest.fail("zarr opened it"))
    bomb("zarr", path, tmp_path, "audio", words)


def test_a_consolidated_copy_of_the_metadata_is_not_used(tmp_path):
    """It would bring codecs that stand in no array's own document."""
    path = zarr_group(tmp_path / "z")
    copy = json.loads((path / "audio" / "zarr.json").read_text())
    copy["codecs"] = [{"name": "numcodecs.pickle"}]
    meta = {"kind": "inline", "must_understand": False, "metadata": {"audio": copy}}
    edited(path / "zarr.json", consolidated_metadata=meta)
    assert imported("zarr", path, tmp_path).clips == 3


def test_a_compressed_chunk_that_decodes_to_more_than_a_chunk_is_refused(tmp_path):
    path = zarr_group(tmp_path / "z")
    from numcodecs import zstd

    (path / "audio" / "c" / "0" / "0").write_bytes(zstd.compress(bytes(LIMIT), 1))
    bomb("zarr", path, tmp_path, r"c/0/0: refused: decodes to 16,777,216 bytes, a chunk has 48")
    (path / "audio" / "c" / "0" / "0").write_bytes(b"\x28\xb5\x2f\xfd\0\0")
    bomb("zarr", path, tmp_path, "not a chunk of zstd that says its size")


def test_what_compressed_data_claim_is_read_from_the_header():
    from numcodecs import blosc, zstd

    for size in (0, 5, 255, 256, 300, 65791, 65792, 2**20):
        data = zstd.compress(bytes(size), 1)
        assert claimed_bytes(data[:18], len(data), "zstd") == size
    data = blosc.compress(bytes(5000), b"lz4", 5, 1)
    assert claimed_bytes(data[:18], len(data), "blosc") == 5000
    data = zlib.compress(bytes(2**20), 9)
    assert 2**20 <= claimed_bytes(data[:18], len(data), "gzip") <= 2 * 2**20


@pytest.mark.parametrize("place", ["audio/c/0/0", "audio/zarr.json", "more"])
def test_a_link_in_a_zarr_folder_brings_no_secret(tmp_path, place):
    path = zarr_group(tmp_path / "z")
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(48))
    (path / place).unlink(missing_ok=True)
    (path / place).symlink_to(secret)
    refused(lambda: imported("zarr", path, tmp_path), place, "it is a link", "copy the data")
    assert not (tmp_path / "store").exists()


def test_a_zip_file_and_a_pipe_are_no_zarr_folder(tmp_path):
    (tmp_path / "z.zip").write_bytes(b"PK\5\6" + bytes(18))
    refused(lambda: imported("zarr", tmp_path / "z.zip", tmp_path), "expected a folder")
    path = zarr_group(tmp_path / "z")
    os.mkfifo(path / "pipe")
    refused(lambda: imported("zarr", path, tmp_path), "it is a pipe")


@pytest.mark.parametrize("form", ["npz", "hdf5", "parquet", "zarr", "mertools"])
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path, form):
    os.mkfifo(tmp_path / "x")
    refused(lambda: imported(form, tmp_path / "x", tmp_path), "it is a pipe, not a regular file")


def test_a_pipe_is_no_pack(tmp_path):
    from emo.store.exchange.pack import unpack

    os.mkfifo(tmp_path / "x")
    refused(lambda: unpack(tmp_path / "x", tmp_path / "out"), "it is a pipe, not a regular file")


# npz


def npy(shape, dtype="<f4", cells=b"", version=1):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + cells


def npz(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


ID_CELLS = np.array(IDS).tobytes()
NPZ = {
    "a header of 10^12 rows": ({"audio.npy": npy((10**12, 4))}, "has .* bytes; its header says"),
    "a header of 10^30 rows": ({"audio.npy": npy((10**30, 4))}, "its header says"),
    "a negative shape": ({"audio.npy": npy((-1, 4))}, "has the shape"),
    "a pickle": ({"audio.npy": npy((1,), "|O", pickle.dumps([print]))}, "allow_pickle=False"),
    "a header that is code": ({"audio.npy": npy("__import__('os').system('x')")}, "not an .npz"),
    "no array": ({"audio.txt": b"hello"}, "is not a plain .npy array"),
    "an empty member": ({"audio.npy": b""}, "not an .npz"),
    "zeros of 25 megabytes": (
        {"audio.npy": npy((3, 2**21), "<f4", bytes(3 * 2**23))}, "--most-bytes allows more",
    ),
    "an id of a million letters": (
        {"ids.npy": npy((1,), "<U1000000", b"a\0\0\0" * 10**6), "audio.npy": npy((1, 4))},
        "has .* bytes|letters",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "words"), NPZ.values(), ids=NPZ)
def test_an_npz_is_checked_by_its_headers(tmp_path, members, words):
    path = npz(
        tmp_path / "x.npz", {"ids.npy": npy((3,), "<U1", ID_CELLS), **members}, zipfile.ZIP_DEFLATED
    )
    bomb("npz", path, tmp_path, "x.npz", words)


def test_a_member_twice_is_refused(tmp_path):
    path = npz(tmp_path / "x.npz", {"ids.npy": npy((3,), "<U1", ID_CELLS)})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("ids.npy", npy((3,), "<U1", ID_CELLS))
    refused(lambda: imported("npz", path, tmp_path), "'ids' is in it twice")


# HDF5


def hdf5(path, build):
    with h5py.File(path, "w") as file:
        build(file)
    return path


def same_long_text(file):
    """A thousand ids, each a reference to one text of a megabyte."""
    kind = h5py.string_dtype()
    ids = file.create_dataset("ids", (1000,), kind)
    ids[0] = "a" * 2**20
    ids[1:] = "b"
    file["audio"] = np.ones((1000, 2), np.float32)


HDF5 = {
    "10^12 rows without data": (
        lambda file: file.create_dataset("audio", (10**12, 4), "f4", chunks=(1024, 4)),
        "array audio would take",
    ),
    "10^12 ids without data": (
        lambda file: file.create_dataset("ids", (10**12,), "i8", chunks=(1024,)),
        "array ids would take",
    ),
    "ids of a gigabyte each": (
        lambda file: file.create_dataset("ids", (3,), "S1000000000", chunks=(1,)),
        "a chunk of ids would take",
    ),
    "one long text as id": (same_long_text, "has 1,048,576 letters"),
    "a filter of a plugin folder": (
        lambda file: _filtered(file), "needs filter 31999 of HDF5",
    ),
}  # fmt: skip


def _filtered(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((1, 4))
    properties.set_filter(31999, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple((3, 4))
    h5py.h5d.create(file.id, b"audio", h5py.h5t.NATIVE_FLOAT, space, properties)


@pytest.mark.parametrize(("build", "words"), HDF5.values(), ids=HDF5)
def test_an_hdf5_file_is_checked_by_its_headers(tmp_path, build, words):
    path = hdf5(tmp_path / "x.h5", build)
    with h5py.File(path, "a") as file:
        if "ids" not in file:
            file["ids"] = np.array([b"a", b"b", b"c"])
        if "audio" not in file:
            file["audio"] = np.ones((3, 2))
    bomb("hdf5", path, tmp_path, "x.h5", words)


def lattice(file, width=12, levels=8):
    """Groups of which each holds the one before under twelve names: 12^8 full names."""
    group = file.create_group("level0")
    for level in range(1, levels + 1):
        group, before = file.create_group(f"level{level}"), group
        for name in range(width):
            group[str(name)] = before
    file["level0/loop"] = file["/"]
    file.create_group("audio")["values"] = np.ones((3, 2), np.float32)
    file["audio/offsets"], file["ids"] = np.arange(4), np.array([b"a", b"b", b"c"])


def test_groups_of_many_names_are_visited_once(tmp_path):
    started = time.monotonic()
    assert imported("hdf5", hdf5(tmp_path / "x.h5", lattice), tmp_path).clips == 3
    assert time.monotonic() - started < 2


def test_names_in_an_hdf5_file_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_checks, "MOST_NAMES", 50)

    def many(file):
        for name in range(60):
            file[f"array{name}"] = np.ones(1)

    refused(lambda: imported("hdf5", hdf5(tmp_path / "x.h5", many), tmp_path), "more than 50 ")


HUGE = {
    "a clip": (
        {"audio/values": (2_000_000, 3900), "audio/offsets": [0, 0, 0, 2_000_000]}, "clip 'c'",
    ),
    "padding": ({"audio": (3, 500_000, 3900), "audio_lengths": [1, 1, 1]}, "with its padding"),
}  # fmt: skip


def huge_arrays(file, arrays):
    """Arrays of gigabytes of which nothing is stored: a file of some kB."""
    file["ids"] = np.array([b"a", b"b", b"c"])
    for name, shape in arrays.items():
        if isinstance(shape, list):
            file[name] = np.array(shape)
        else:
            chunks = (*(1,) * (len(shape) - 2), 1000, shape[-1])
            file.create_dataset(name, shape, "f2", chunks=chunks, compression="gzip")


@pytest.mark.parametrize(("arrays", "words"), HUGE.values(), ids=HUGE)
def test_a_clip_of_gigabytes_is_not_read(tmp_path, arrays, words):
    path = hdf5(tmp_path / "x.h5", lambda file: huge_arrays(file, arrays))
    assert path.stat().st_size < 20_000
    words = [words, "at most 2.0 GiB may be taken; --most-bytes allows more"]
    bomb("hdf5", path, tmp_path, *words, most_bytes=2**34)


def test_a_chunk_of_gigabytes_is_not_decoded(tmp_path):
    def build(file):
        file["ids"] = np.arange(2**15)
        file.create_dataset("audio", (2**15, 2**14 + 1), "f4", chunks=(2**15 - 1, 2**14 + 1))

    path = hdf5(tmp_path / "x.h5", build)
    bomb("hdf5", path, tmp_path, "a chunk of audio would take", most_bytes=2**34)


def test_padded_clips_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(named_arrays, "BLOCK_BYTES", 200)
    values, lengths = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3), [1, 4, 0, 2, 3]
    for row, length in enumerate(lengths):
        values[row, length:] = 0
    np.savez(tmp_path / "x.npz", ids=list("abcde"), audio=values, audio_lengths=lengths)
    imported("npz", tmp_path / "x.npz", tmp_path)
    tokens = Store(tmp_path / "store").recipes["x"].read("audio", list("abde"))
    expected = [values[row, : lengths[row]] for row in (0, 1, 3, 4)]
    np.testing.assert_array_equal(tokens.values, np.concatenate(expected))
    assert tokens.lengths.tolist() == [1, 4, 2, 3]


# what libraries do not say that they raise


def broken_text(tmp_path):
    ids = np.frombuffer(np.array([0x110000, 0xD800, 97], "u4").tobytes(), "<U1")
    np.savez(tmp_path / "x.npz", ids=ids, audio=np.ones((3, 2)))
    return "npz", tmp_path / "x.npz"


def chunks_of_zero(tmp_path):
    path = zarr_group(tmp_path / "x", zarr_format=2)
    edited(path / "audio" / ".zarray", chunks=[0, 4], compressor=None)
    return "zarr", path


def huge_fill(tmp_path):
    path = zarr_group(tmp_path / "x", zarr_format=2)
    edited(path / "audio" / ".zarray", fill_value=10**400)
    return "zarr", path


@pytest.mark.parametrize("make", [broken_text, chunks_of_zero, huge_fill])
def test_any_exception_of_a_library_is_one_line(tmp_path, make):
    form, path = make(tmp_path)
    refused(lambda: imported(form, path, tmp_path), rf"{path.name}: cannot be read as {form}: \w+")


@pytest.mark.parametrize("error", [OverflowError("x"), SystemError("a\nb"), KeyError(1)])
def test_what_a_read_of_clips_raises_is_one_line(tmp_path, monkeypatch, error):
    def failing(self, key):
        raise error

    path = zarr_group(tmp_path / "x")
    real = Zarr.read

    @contextmanager
    def read(self, *given):
        with real(self, *given) as contents:
            rows = contents.streams["audio"]
            yield replace(contents, streams={"audio": replace(rows, read=failing)})

    monkeypatch.setattr(Zarr, "read", read)
    words = f"x: cannot be read as zarr: {type(error).__name__}"
    refused(lambda: imported("zarr", path, tmp_path), words)


def test_faults_of_our_own_stay_visible():
    for error in (NameError("x"), AssertionError(), MemoryError(), ModuleNotFoundError("av")):
        with pytest.raises(type(error)), foreign_file("x", EmoError, "not read"):
            raise error


# Parquet


def parquet(path, ids, tokens, **options):
    pq.write_table(pa.table({"id": ids, "audio": tokens}), path, **options)
    return path


def test_a_parquet_dictionary_of_one_long_text_is_counted_by_row(tmp_path):
    ids = pa.array(["a" * 3000] * 6000)
    tokens = pa.array([[1.0]] * 6000, pa.list_(pa.float32()))
    path = parquet(tmp_path / "x.parquet", ids, tokens)
    assert path.stat().st_size < 2**18
    bomb("parquet", path, tmp_path, "the clip ids would take", "--most-bytes")


def test_parquet_runs_of_equal_numbers_are_counted_as_numbers(tmp_path):
    numbers = pa.array(np.zeros(5_000_000, np.float32))
    rows = pa.ListArray.from_arrays(pa.array([0, 4_999_999, 5_000_000], pa.int32()), numbers)
    path = parquet(tmp_path / "x.parquet", pa.array(["a", "b"]), rows)
    assert path.stat().st_size < 2**20
    bomb("parquet", path, tmp_path, "column audio would take")


def test_columns_that_are_not_asked_for_are_not_read(tmp_path):
    table = pa.table(
        {"id": IDS, "audio": pa.array([[1.0]] * 3, pa.list_(pa.float32())), "text": ["x"] * 3}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    assert (
        "labels in the file: text" in imported("parquet", tmp_path / "x.parquet", tmp_path).table()
    )


# pickles


def deep(levels):
    value = [0.0]
    for _ in range(levels):
        value = [value] * 10
    return value


def mmsa(**more):
    split = {"id": IDS, "audio": np.ones((3, 1, 4), np.float32), **more}
    return pickle.dumps({"train": split}, protocol=4)


class Command:
    def __reduce__(self):
        return os.mkdir, (os.environ["EMO_TEST_MARK"],)


PICKLES = {
    "ten bytes that ask for 32 GiB": (
        b"\x80\x04Nr\xff\xff\xff\x7f.", "numbers an object 2147483647",
    ),
    "a text number": (b"Np2000000000\n.", "numbers an object 2000000000"),
    "a text of 2^60 bytes": (b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"x.", "not a pickle"),
    "a list of ten to the ninth": (mmsa(words=deep(9)), "list words would take"),
    "a list in itself": (b"\x80\x04]\x94h\0a.", "found list"),
    "deep nesting": (b"\x80\x04" + 5000 * b"]" + 4999 * b"a" + b".", "nested|expected a dict"),
    "a command": (None, "asks for .*mkdir"),
    "an array of 10^12 numbers": (
        mmsa().replace(b"K\x03K\x01K\x04", b"K\x03K\x01J\xff\xff\xff\x7f"), "cannot reshape|not a",
    ),
    "not a pickle": (b"hello", "not a pickle"),
    "nothing": (b"", "not a pickle"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "words"), PICKLES.values(), ids=PICKLES)
def test_a_pickle_runs_nothing_and_takes_little(tmp_path, mark, monkeypatch, data, words):
    monkeypatch.setenv("EMO_TEST_MARK", str(mark))
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(Command()) if data is None else data)
    bomb("mmsa", path, tmp_path, "x.pkl", words, allow_pickle=True)


def test_one_long_text_among_short_ones_is_not_padded(tmp_path):
    """numpy would give every text the room of the longest: 4 bytes a letter."""
    split = {"id": [f"c{k}" for k in range(1000)], "audio": np.ones((1000, 1, 2), np.float32)}
    texts = ["x" * 10**6] + ["y"] * 999
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"train": {**split, "raw_text": texts, "words": texts}}))
    tracemalloc.start()
    assert imported("mmsa", path, tmp_path, allow_pickle=True).clips == 1000
    assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    tracemalloc.stop()


# MERTools


def mertools(path):
    (path / "audio-UTT").mkdir(parents=True)
    for clip_id in IDS:
        np.save(path / "audio-UTT" / f"{clip_id}.npy", np.ones(4, np.float32))
    return path


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_link_in_a_mertools_folder_is_refused(tmp_path, is_folder):
    path = mertools(tmp_path / "m")
    mertools(tmp_path / "secret")
    if is_folder:
        (path / "video-UTT").symlink_to(tmp_path / "secret" / "audio-UTT")
    else:
        (path / "audio-UTT" / "d.npy").symlink_to(tmp_path / "secret" / "audio-UTT" / "a.npy")
    refused(lambda: imported("mertools", path, tmp_path), "it is a link")


def test_a_pipe_and_a_pickle_in_a_mertools_folder_are_refused(tmp_path):
    path = mertools(tmp_path / "m")
    (path / "audio-UTT" / "a.npy").write_bytes(npy((1,), "|O", pickle.dumps([print])))
    refused(lambda: imported("mertools", path, tmp_path), "a.npy: not an .npy file of numbers")
    (path / "audio-UTT" / "a.npy").unlink()
    os.mkfifo(path / "audio-UTT" / "a.npy")
    refused(lambda: imported("mertools", path, tmp_path), "it is a pipe")


# the option


def test_the_limit_is_an_option_of_the_command(emo, tmp_path):
    np.savez(tmp_path / "x.npz", ids=IDS, audio=np.ones((3, 400), np.float32))
    code, _, err = emo("store", "import", "npz", tmp_path / "x.npz", "--most-bytes", "2K")
    assert code == 1
    assert_line(EmoError(err.rstrip("\n")), "audio would take", "--most-bytes allows more")
    code, _, err = emo("store", "import", "npz", tmp_path / "x.npz", "--most-bytes", "many")
    assert (code, err) == (
        1,
        "emo: error: --most-bytes many: expected bytes, such as 64G or 500M\n",
    )
    assert emo("store", "import", "npz", tmp_path / "x.npz", "--most-bytes", "1M")[0] == 0


def test_members_of_a_pack_that_lie_inside_each_other_fill_no_disk(tmp_path):
    from emo.store.exchange.pack import unpack

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("manifest.csv", "emo-pack.json"):
            archive.writestr(name, "x" * 1000)
    data = bytearray(buffer.getvalue())
    for start, offset in ((b"PK\3\4", 18), (b"PK\1\2", 20)):
        at = data.index(start)
        struct.pack_into("<LL", data, at + offset, 10**6, 10**6)
    (tmp_path / "x.zip").write_bytes(data)
    refused(lambda: unpack(tmp_path / "x.zip", tmp_path / "out"), "more than the file")
    assert not (tmp_path / "out").exists()
