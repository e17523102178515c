"""A part takes what was promised, and whole clips only; leaving its block commits it."""

import hashlib

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter, Recipe, StreamSpec
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.writer import part_name
from tests.make_store import RECIPE, audio

BAD_CLIPS = {
    "no tokens": ({"audio": np.ones((0, 8))}, r"expected shape \(T, 8\) with T >= 1, got \(0, 8\)"),
    "width": ({"audio": np.ones((2, 9))}, r"expected shape \(T, 8\)"),
    "one axis": ({"audio": np.ones(8)}, r"expected shape \(T, 8\)"),
    "stream": ({"adio": np.ones((2, 8))}, "unknown stream 'adio'; did you mean 'audio'"),
    "no stream": ({}, "expected tokens in at least one stream"),
    "nan": ({"audio": np.full((2, 8), np.nan)}, "token 0 of 2 is not finite as float16"),
    "overflow": (
        {"audio": np.full((2, 8), 1e6)},
        r"stream 'audio': token 0 of 2 is not finite as float16, because its largest value is "
        r"1e\+06 \(the type ends at 6.55e\+04\); store the stream as float32",
    ),
    "fraction": ({"face": np.ones((1, 12))}, "expected uint8, got float64"),
    "objects": ({"audio": np.full((1, 8), "x")}, "expected float16, got str"),
}


@pytest.mark.parametrize("case", BAD_CLIPS)
def test_a_bad_clip_is_refused_and_leaves_nothing(tmp_path, case):
    tokens, message = BAD_CLIPS[case]
    with PartWriter(tmp_path, RECIPE) as part:
        part.add("good", audio(2))
        with pytest.raises(StoreError, match=message):
            part.add("bad", {"text": np.ones((1, 5)), **tokens} if tokens else tokens)
        part.fail("bad", "was refused")
    read = Part(part.committed)
    assert (read.clip_ids, read.failures) == (["good"], {"bad": "was refused"})
    assert problems(read) == []


def test_absence_that_contradicts_is_refused(tmp_path):
    part = PartWriter(tmp_path, RECIPE)
    with pytest.raises(StoreError, match="both tokens and absent"):
        part.add("c", audio(1), absent={"audio": "silent"})
    with pytest.raises(StoreError, match="unknown stream 'video'"):
        part.add("c", audio(1), absent={"video": "dark"})
    with pytest.raises(StoreError, match="note 'share'"):
        part.add("c", audio(1), notes={"share": float("nan")})


def test_a_clip_stands_in_a_part_once(tmp_path):
    part = PartWriter(tmp_path, RECIPE)
    part.add("c", audio(1))
    with pytest.raises(StoreError, match="clip 'c' is in this part already"):
        part.add("c", audio(1))
    with pytest.raises(StoreError, match="clip 'c' is in this part already"):
        part.fail("c", "twice")


def test_a_stream_that_zarr_could_not_hold_is_refused(tmp_path):
    with pytest.raises(StoreError, match="stream 'hidden/12'"):
        PartWriter(tmp_path, Recipe("toy", {"hidden/12": StreamSpec(1)}))
    with pytest.raises(StoreError, match="dtype 'complex64'"):
        PartWriter(tmp_path, Recipe("toy", {"s": StreamSpec(1, "complex64")}))


def test_tokens_are_copied_when_added(tmp_path):
    buffer = np.ones((2, 8), np.float16)
    with PartWriter(tmp_path, RECIPE) as part:
        part.add("c", {"audio": buffer})
        buffer[:] = 7
    np.testing.assert_array_equal(Part(part.committed).read("audio").values, np.ones((2, 8)))


def test_an_exception_inside_leaves_nothing(tmp_path):
    def interrupted():
        with PartWriter(tmp_path, RECIPE) as part:
            part.add("c", audio(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_part_is_not_committed(tmp_path):
    with PartWriter(tmp_path, RECIPE) as part:
        pass
    assert part.committed is None
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_failures_alone_is_committed(tmp_path):
    with PartWriter(tmp_path, RECIPE) as part:
        part.fail("c", "gone")
    assert problems(Part(part.committed)) == []


def test_the_name_tells_the_clips_and_the_attempt():
    name = part_name(["b", "a"])
    assert name == part_name(["a", "b"])
    digits = hashlib.sha256(b"a\nb").hexdigest()[:16]
    assert name == f"part-{digits}.zarr.zip"
    assert part_name(["a", "b"], 3) == name.replace(".zarr", "-r3.zarr")
    assert part_name(["a"]) != name


def test_the_second_copy_is_dropped(tmp_path):
    for value, is_second in ((1.0, False), (2.0, True)):
        with PartWriter(tmp_path, RECIPE) as part:
            part.add("c", audio(1, value))
        assert part.was_second is is_second
    assert list(tmp_path.iterdir()) == [part.committed]
    assert Part(part.committed).read("audio").values.max() == 1.0
