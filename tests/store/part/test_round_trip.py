"""What is written comes back, mapped and through plain Zarr alike."""

import tempfile
import zipfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.store import PartWriter, Recipe, StreamSpec
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.zarr_layout import CHUNK_BYTES, chunk_rows


def write(folder, streams, clips, **options):
    recipe = Recipe("toy", streams)
    with patch("os.fsync"), PartWriter(Path(folder), recipe, **options) as part:
        for clip_id, tokens in clips.items():
            part.add(clip_id, tokens, source="s")
    return Part(part.committed)


def through_zarr(path, name):
    store = zarr.storage.ZipStore(path, mode="r")
    try:
        return zarr.open_group(store, mode="r")[name][...]
    finally:
        store.close()


def assert_same(part, stream, arrays):
    """Mapped tokens and those of plain Zarr equal the ``arrays`` of the clips, in order."""
    mapped = part.read(stream)
    np.testing.assert_array_equal(mapped.lengths, [len(array) for array in arrays])
    expected = np.concatenate(arrays)
    assert part.layout(stream).start is not None, "not mapped"
    np.testing.assert_array_equal(mapped.values, expected)
    np.testing.assert_array_equal(through_zarr(part.path, f"{stream}/values"), expected)
    np.testing.assert_array_equal(through_zarr(part.path, f"{stream}/offsets"), mapped.offsets)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_lengths_types_and_absences_come_back(data):
    dtypes = data.draw(
        st.lists(st.sampled_from(["float16", "float32", "uint8"]), min_size=1, max_size=3)
    )
    streams = {
        f"s{k}": StreamSpec(data.draw(st.integers(1, 9)), dtype) for k, dtype in enumerate(dtypes)
    }
    lengths = st.lists(st.integers(0, 20), min_size=len(dtypes), max_size=len(dtypes)).filter(any)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    clips = {
        f"clip {k} é": {
            name: (rng.integers(0, 250, size=(length, spec.dim))).astype(spec.dtype)
            for (name, spec), length in zip(streams.items(), drawn, strict=True)
            if length
        }
        for k, drawn in enumerate(data.draw(st.lists(lengths, min_size=1, max_size=6)))
    }
    with tempfile.TemporaryDirectory() as folder:
        part = write(folder, streams, clips)
        assert part.clip_ids == list(clips)
        assert problems(part) == []
        for name, spec in streams.items():
            read = part.read(name)
            assert read.values.dtype == spec.dtype
            assert read.width == spec.dim
            for found, (clip_id, tokens) in zip(read, clips.items(), strict=True):
                np.testing.assert_array_equal(found, tokens.get(name, np.zeros((0, spec.dim))))
                assert (name in tokens) == (name not in part.absent.get(clip_id, {}))
        part.release()


@pytest.mark.parametrize(
    "arrays",
    [
        [np.zeros((5, 768)), np.zeros((2000, 768))],
        [np.ones((1000, 768)), np.zeros((2000, 768)), np.ones((1000, 768))],
        [np.full((1, 768), 3.0)],
        [np.random.default_rng(0).normal(size=(length, 768)) for length in (1, 700, 683, 1500)],
    ],
    ids=["all zero", "a zero chunk in the middle", "T = 1", "noise over several chunks"],
)
def test_tokens_are_mapped_and_equal_plain_zarr(tmp_path, arrays):
    clips = {f"c{k}": {"video": array} for k, array in enumerate(arrays)}
    part = write(tmp_path, {"video": StreamSpec(768)}, clips)
    assert_same(part, "video", [array.astype(np.float16) for array in arrays])


def test_a_zero_chunk_in_the_middle_is_a_whole_chunk(tmp_path):
    """Guards the case above: some inner chunk there must be all zero."""
    tokens = np.concatenate([np.ones((1000, 768)), np.zeros((2000, 768)), np.ones((1000, 768))])
    part = write(tmp_path, {"video": StreamSpec(768)}, {"c": {"video": tokens}})
    rows = part.layout("video").rows
    chunks = [tokens[start : start + rows] for start in range(0, 4000, rows)]
    assert any(not chunk.any() for chunk in chunks[1:-1])


def test_a_stream_nobody_has_is_empty_in_both(tmp_path):
    streams = {"video": StreamSpec(4), "audio": StreamSpec(7, "float32")}
    part = write(tmp_path, streams, {"c": {"video": np.ones((3, 4))}})
    assert part.read("audio").values.shape == (0, 7)
    assert part.read("audio").values.dtype == np.float32
    np.testing.assert_array_equal(through_zarr(part.path, "audio/offsets"), [0, 0])
    assert part.absent == {"c": {"audio": "no reason given"}}


def test_every_member_starts_at_a_multiple_of_64_bytes(tmp_path):
    part = write(tmp_path, {"a": StreamSpec(3)}, {"c": {"a": np.ones((5, 3))}})
    data = part.path.read_bytes()
    with zipfile.ZipFile(part.path) as archive:
        assert archive.testzip() is None
        for member in archive.infolist():
            label, extra = data[member.header_offset + 26 : member.header_offset + 30 : 2]
            assert (member.header_offset + 30 + label + extra) % 64 == 0
        assert archive.namelist()[-1] == "zarr.json"


@pytest.mark.parametrize(
    ("rows", "row_bytes"), [(43_690, 1536), (1000, 76_800), (877, 76_800), (2_000_003, 64)]
)
def test_padding_and_indices_cost_less_than_two_thousandths(rows, row_bytes):
    inner = chunk_rows(rows, row_bytes)
    chunks = -(-rows // inner)
    assert inner * row_bytes <= 1.5 * CHUNK_BYTES
    assert chunks * inner * row_bytes + 20 * chunks <= 1.002 * rows * row_bytes


def test_what_else_is_known_of_clips_comes_back(tmp_path):
    recipe = Recipe("toy", {"a": StreamSpec(1), "b": StreamSpec(1)})
    with PartWriter(tmp_path, recipe, attempt=2) as writer:
        writer.add("x", {"a": np.ones((1, 1))}, source="11", absent={"b": "mute"}, notes={"n": 0.5})
        writer.fail("y", "no such file", source="22")
    part = Part(writer.committed)
    assert (part.attempt, part.fingerprint) == (2, recipe.fingerprint)
    assert part.sources == {"x": "11", "y": "22"}
    assert part.failures == {"y": "no such file"}
    assert part.absent == {"x": {"b": "mute"}}
    assert part.notes == {"x": {"n": 0.5}}
    attributes = zarr.open_group(zarr.storage.ZipStore(part.path, mode="r"), mode="r").attrs
    assert attributes["format_version"] == 1
    assert set(attributes["versions"]) == {"emo", "numpy", "zarr"}
