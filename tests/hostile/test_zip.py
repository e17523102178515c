"""A part shows one zip directory to every reader, or is refused; nothing it names is run."""

import io
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest

from emo.store import Store
from emo.store.maintain.verify import verify
from emo.store.part.reader import Part
from emo.store.part.zip import ArchiveWriter
from tests.hostile.build import members_of, refused, with_member, write_zip
from tests.make_store import noise

END, CENTRAL, LOCAL = 22, 46, 30


def zip64_twin(path):
    """Hide a second directory: our reader would see the first one, a zip64 reader the other."""
    data = path.read_bytes()
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("zarr.json", "{}")
    count, size = 1, len(other.getvalue())
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data), 1)
    return data[:-END], end64 + locator, data[-END:]


def with_locator(path):
    path.write_bytes(b"".join(zip64_twin(path)))


def with_locator_in_the_directory(path):
    """The record lies in the comment of the last entry, so that the directory's size fits."""
    start, hidden, end = zip64_twin(path)
    whole = bytearray(start + hidden + end)
    entry = start.rindex(b"PK\1\2")
    struct.pack_into("<H", whole, entry + 32, len(hidden))
    (size,) = struct.unpack_from("<L", end, 12)
    struct.pack_into("<L", whole, len(whole) - END + 12, size + len(hidden))
    path.write_bytes(whole)


def with_hidden_entry(path):
    """The directory ends with an extra field that is an entry: of another root document."""
    members = members_of(path)
    root = json.loads(members.pop("zarr.json"))
    other = json.dumps({**root, "attributes": {**root["attributes"], "clip_ids": ["x", "y"]}})
    with open(path, "wb") as file:
        writer = ArchiveWriter(file)
        writer.write("zarr.json", [other.encode()])
        hidden = writer._directory.pop()
        writer.write("zarr.json", [json.dumps(root).encode()])
        for name, data in members.items():
            writer.write(name, [data])
        last = bytearray(writer._directory.pop() + hidden)
        struct.pack_into("<H", last, 30, len(hidden))
        writer._directory.append(bytes(last))
        writer.finish()


def with_bytes(change):
    def apply(path):
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(data)

    return apply


def set_field(where, offset, value, size=2):
    """Overwrite a number in the local or central header of the first stored tokens."""

    def change(data):
        start = data.index(b"PK\3\4") if where == "local" else data.index(b"PK\1\2")
        data[start + offset : start + offset + size] = value.to_bytes(size, "little")

    return with_bytes(change)


def rename_local(data):
    at = data.index(b"audio/values/c/0/0")
    data[at : at + 5] = b"other"


def twice(path):
    """Two entries of one name: which of them is read depends on the reader."""
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    entry = data[start : data.index(b"PK\1\2", start + 1)]
    count, _, size, at = struct.unpack("<2H2L", data[-14:-2])
    end = struct.pack("<2H2LH", count + 1, count + 1, size + len(entry), at, 0)
    path.write_bytes(data[:start] + entry + data[start:-14] + end)


ZIPS = {
    "bytes after the end": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "do not end"),
    "a second zip after it": (
        lambda path: path.write_bytes(2 * path.read_bytes()), "not where the end record says",
    ),
    "a zip before it": (
        lambda path: path.write_bytes(b"PK\3\4" + path.read_bytes()),
        "not where the end record says",
    ),
    "a comment": (
        lambda path: path.write_bytes(path.read_bytes()[:-2] + b"\5\0hello"), "do not end as a zip",
    ),
    "a comment that is an end record": (
        lambda path: path.write_bytes(path.read_bytes()[:-2] + b"\x16\0" + path.read_bytes()[-22:]),
        "not where the end record says",
    ),
    "a zip64 directory": (with_locator, "not where the end record says"),
    "a zip64 directory in a comment": (with_locator_in_the_directory, "second directory"),
    "an entry inside an entry": (with_hidden_entry, "hidden inside the last"),
    "a member twice": (twice, "is in it twice"),
    "an entry too many": (
        with_bytes(lambda data: data.__setitem__(slice(-14, -10), b"\xff\0\xff\0")),
        "damaged at byte",
    ),
    "an entry too few": (
        with_bytes(lambda data: data.__setitem__(slice(-14, -10), b"\1\0\1\0")),
        "does not have the size",
    ),
    "two disks": (
        with_bytes(lambda data: data.__setitem__(slice(-18, -16), b"\1\0")), "end record says",
    ),
    "another name in the header": (with_bytes(rename_local), "disagree"),
    "another crc in the header": (set_field("local", 14, 7, 4), "disagree"),
    "another size in the header": (set_field("local", 22, 7, 4), "disagree"),
    "another method in the header": (set_field("local", 8, 8), "disagree"),
    "sizes after the data": (set_field("local", 6, 8), "disagree"),
    "encryption": (set_field("local", 6, 1), "disagree"),
    "an unknown method": (set_field("central", 10, 99), "disagree"),
    "a stored member of two sizes": (set_field("central", 24, 7, 4), "disagree"),
    "members inside each other": (set_field("central", 42, 64, 4), "inside another member"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), ZIPS.values(), ids=ZIPS)
def test_a_zip_that_readers_see_differently_is_refused(store, commit, change, words):
    path = commit(noise(0, 3, 40))
    change(path)
    refused(lambda: Store(store.path).read("toy/audio"), path.name, "is damaged", words, "verify")
    assert_found(store, path)


def assert_found(store, path):
    """`emo store verify` says one line or more about this part alone."""
    found = verify(Store(store.path), progress=False).problems
    assert {part for part, _ in found} == {path}
    assert not any("\n" in what for _, what in found)


@pytest.mark.parametrize("is_last", [False, True])
def test_a_member_that_no_directory_lists_is_found_by_verify(store, commit, is_last):
    """Readers of streams go from header to header and would see it."""
    path = commit(noise(0, 3))
    members = [*members_of(path).items()]
    members.insert(len(members) if is_last else 1, ("hidden", b"x"))
    with open(path, "wb") as file:
        writer = ArchiveWriter(file)
        for name, data in members:
            writer.write(name, [data])
            if name == "hidden":
                writer._directory.pop()
        writer.finish()
    assert len(Store(store.path).read("toy/audio")) == 1
    ((_, what),) = verify(Store(store.path), progress=False).problems
    assert what.startswith("the bytes before")


def v2_with_pickle(name):
    """Members of a Zarr v2 array whose filter unpickles: numcodecs before 0.16.6 runs it."""
    document = {
        "zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "|O", "fill_value": None,
        "order": "C", "compressor": None, "filters": [{"id": "pickle"}],
    }  # fmt: skip
    return {f"{name}/.zarray": json.dumps(document).encode(), f"{name}/0": b"cos\nsystem\n."}


@pytest.fixture
def calls(monkeypatch):
    """Fails the test if any library of arrays is asked for anything."""
    import zarr

    called = []

    def never(*_, **__):
        called.append(1)

    for name in ("open", "open_array", "open_group"):
        monkeypatch.setattr(zarr, name, never)
    yield
    assert not called


def test_a_zarr_v2_array_in_a_part_is_not_looked_at(store, commit, calls):
    path = commit(noise(0, 3))
    members = members_of(path)
    members = {key: data for key, data in members.items() if not key.startswith("audio/values")}
    write_zip(path, {**v2_with_pickle("audio/values"), **members})
    refused(lambda: Store(store.path).read("toy/audio"), path.name, "values/zarr.json is missing")


def changed_array(path, name="audio/values", **entries):
    document = json.loads(members_of(path)[f"{name}/zarr.json"]) | entries
    with_member(path, f"{name}/zarr.json", json.dumps(document).encode())


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
SHARD = {
    "chunk_shape": [1, 8], "codecs": [BYTES], "index_codecs": [BYTES, {"name": "crc32c"}],
    "index_location": "end",
}  # fmt: skip
ARRAYS = {
    "a codec that unpickles": {"codecs": [{"name": "numcodecs.pickle"}]},
    "a codec of numcodecs": {"codecs": [BYTES, {"name": "numcodecs.zlib", "configuration": {}}]},
    "a codec that is a module": {"codecs": [{"name": "os:system"}]},
    "compression": {"codecs": [BYTES, {"name": "zstd", "configuration": {"level": 0}}]},
    "big-endian": {"codecs": [{"name": "bytes", "configuration": {"endian": "big"}}]},
    "a codec inside a shard": {
        "codecs": [{
            "name": "sharding_indexed",
            "configuration": SHARD | {"codecs": [{"name": "numcodecs.pickle"}]},
        }]
    },
    "a codec inside an index": {
        "codecs": [{
            "name": "sharding_indexed",
            "configuration": SHARD | {"index_codecs": [{"name": "gzip"}]},
        }]
    },
    "codecs of another type": {"codecs": 7},
    "a storage transformer": {"storage_transformers": [{"name": "evil"}]},
    "format 2": {"zarr_format": 2},
    "objects": {"data_type": "object"},
    "a type that is code": {"data_type": "(1,"},
    "a grid of another kind": {"chunk_grid": {"name": "rectilinear", "configuration": {}}},
    "a grid of 10^12 chunks": {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 1]}},
        "codecs": [BYTES],
    },
    "a chunk of 10^18 bytes": {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**9, 10**9]}},
        "codecs": [BYTES],
    },
    "a negative chunk": {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [-1, 8]}},
        "codecs": [BYTES],
    },
    "another key encoding": {"chunk_key_encoding": {"name": "v2"}, "codecs": [BYTES]},
    "a separator that leaves the array": {
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/../"}},
        "codecs": [BYTES],
    },
    "a shape of 10^12 rows": {"shape": [10**12, 8]},
    "a shape that is text": {"shape": "38"},
    "nesting": {"codecs": json.loads(400 * "[" + 400 * "]")},
}  # fmt: skip


@pytest.mark.parametrize("entries", ARRAYS.values(), ids=ARRAYS)
def test_an_array_that_is_not_ours_is_refused_before_any_library_sees_it(
    store, commit, calls, entries
):
    path = commit(noise(0, 3, 5))
    changed_array(path, **entries)
    refused(lambda: Store(store.path).read("toy/audio"), path.name, "is damaged", "audio")
    assert_found(store, path)


def test_a_part_that_zarr_compressed_is_refused_with_what_it_expects(store, commit, calls):
    """Until now the library opened it: with any codec that a document names."""
    path = commit(noise(0, 3))
    changed_array(path, codecs=[BYTES, {"name": "zstd"}])
    refused(lambda: Store(store.path).read("toy/audio"), "zstd", "expected bytes")


@pytest.mark.parametrize("size", [2**20, 2**31 + 1], ids=["more than it says", "2 GiB"])
def test_a_deflated_member_inflates_to_what_it_says_and_to_no_more(store, commit, size):
    path = commit(noise(0, 3))
    members = members_of(path)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeezer.compress(bytes(2**24)) + squeezer.flush()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, bomb if name == "audio/offsets/c/0" else data)
    data = bytearray(path.read_bytes())
    for start, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = data.index(b"audio/offsets/c/0", data.index(start)) - (
            LOCAL if method == 8 else CENTRAL
        )
        struct.pack_into("<H", data, at + method, 8)
        struct.pack_into("<L", data, at + method + 14, size)
    path.write_bytes(data)
    refused(lambda: Store(store.path).read("toy/audio"), path.name, "size that it says|at most")


def test_a_missing_chunk_of_another_tools_array_is_no_zeros(store, commit):
    path = commit(noise(0, 3))
    grid = {"name": "regular", "configuration": {"chunk_shape": [2, 8]}}
    members = members_of(path)
    cells = np.frombuffer(members["audio/values/c/0/0"][: 3 * 16], "<f2").reshape(3, 8)
    del members["audio/values/c/0/0"]
    members["audio/values/c/0/0"] = cells[:2].tobytes()
    write_zip(path, members)
    changed_array(path, chunk_grid=grid, codecs=[BYTES])
    refused(lambda: Store(store.path).read("toy/audio"), "c/1/0 is missing")
    with_member(path, "audio/values/c/1/0", cells[2:].tobytes() + bytes(16))
    np.testing.assert_array_equal(Part(path).read("audio").values, cells)
