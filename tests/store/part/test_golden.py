"""Stores written by earlier versions stay readable, by us and by the reader of the docs."""

import re
from pathlib import Path

import numpy as np
import pytest
import zarr

from emo.store import Store
from emo.store.maintain.verify import verify
from tests.golden_store_v1.make import LENGTHS, RECIPE, make, tokens

GOLDEN = Path(__file__).parents[2] / "golden_store_v1" / "features"
PAGE = Path(__file__).parents[3] / "docs" / "store-format.md"
PARTS = sorted(GOLDEN.glob("toy/part-*.zarr.zip"))


@pytest.fixture(scope="module")
def golden():
    return Store(GOLDEN).recipes["toy"]


def test_the_golden_store_is_sound_and_holds_the_recipe(golden):
    assert verify(Store(GOLDEN), progress=False).problems == []
    assert len(PARTS) == 3
    assert golden.recipe == RECIPE


def test_the_golden_clips_are_read(golden):
    assert sorted(golden.ids) == sorted(LENGTHS)
    assert golden.failures == {"broken": "no video and no audio track"}
    assert golden.attempts["retried"] == 1
    assert golden.sources["changed"] == "ee" * 8
    assert golden.notes == {clip: {"face_share": 0.75} for clip in ("dia0_utt0", "dia0_utt2")}
    assert golden.absent["dia0_utt1"]["text"] == "the file has none"


@pytest.mark.parametrize("stream", RECIPE.streams)
def test_the_golden_tokens_are_read(golden, stream):
    ids = sorted(golden.ids)
    for clip_id, found in zip(ids, golden.read(stream, ids), strict=True):
        assert len(found) == LENGTHS[clip_id].get(stream, 0)
        assert found.dtype == RECIPE.streams[stream].dtype
        if len(found):
            np.testing.assert_array_equal(found, tokens(clip_id, stream))
    several = [golden.parts.open(path).layout(stream).is_verified for path in PARTS]
    assert stream == "text" or max(map(len, several)) > 1, "the golden part should have chunks"


def test_todays_writer_makes_the_same_members(tmp_path):
    """Whatever changes in them is a new format version, or costs somebody's reader."""
    make(tmp_path / "features")
    for path in PARTS:
        old = zarr.storage.ZipStore(path, mode="r")
        new = zarr.storage.ZipStore(tmp_path / "features" / "toy" / path.name, mode="r")
        old._sync_open(), new._sync_open()
        assert old._zf.namelist() == new._zf.namelist()
        for name in old._zf.namelist()[:-1]:
            assert old._zf.read(name) == new._zf.read(name), name
        old.close(), new.close()


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.name)
def test_the_reader_of_the_docs_reads_the_golden_parts(golden, path):
    (code,) = re.findall(r"^```python\n(# reader\n.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len([line for line in code.splitlines() if line.strip()]) <= 40
    namespace = {}
    exec(code, namespace)
    facts, found = namespace["read_part"](path)
    part = golden.parts.open(path)
    assert facts["clip_ids"] == part.clip_ids
    assert facts["failures"] == part.failures
    for stream in RECIPE.streams:
        ours = dict(zip(part.clip_ids, part.read(stream), strict=True))
        assert found[stream].keys() == {clip_id for clip_id, each in ours.items() if len(each)}
        for clip_id, theirs in found[stream].items():
            np.testing.assert_array_equal(theirs, ours[clip_id])
