"""Long clips come in stretches: the same tokens in time order, and memory that does not grow."""

import os
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from emo.extract.backbones.perceiver import Perceiver
from emo.extract.decode.source import ClipSource
from emo.extract.decode.stretches import StretchResult, join_stretches, stretches_of
from emo.extract.job.request import Request
from emo.extract.run import extract
from emo.manifest import Clip, Manifest
from emo.store import Store
from tests.make import make_clip


@pytest.fixture(scope="module")
def tiny():
    return Perceiver.tiny().options


def run(folder, name, options, clips):
    """{clip id: tokens} of clips of one file."""
    request = Request("p", "perceiver", asdict(options), Perceiver.recipe(options))
    made = tuple(
        Clip(f"{name}{k}", video=name, text="hello", start_seconds=low, end_seconds=high)
        for k, (low, high) in enumerate(clips)
    )
    manifest = Manifest(path=folder, root=folder, clips=made, sha256="")
    out = folder / f"store-{len(made)}"
    report = extract(manifest, out, [request], progress=False)
    assert report.exit_code == 0, report.failures
    tokens = Store(out).read("p/label", [clip.id for clip in made])
    return [np.asarray(tokens[k]) for k in range(len(made))]


def test_a_long_clip_gives_the_tokens_of_its_stretches_in_time_order(tmp_path, tiny):
    make_clip(tmp_path / "long.mp4", seconds=12)
    length = Perceiver.stretch_seconds(tiny)
    assert length < 6
    cuts = [(k * length, min(12, (k + 1) * length)) for k in range(int(np.ceil(12 / length)))]
    (whole,) = run(tmp_path, "long.mp4", tiny, [(None, None)])
    pieces = run(tmp_path, "long.mp4", tiny, cuts)
    assert len(cuts) > 1
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_a_short_clip_stays_whole_and_a_long_one_is_covered_once(tmp_path):
    make_clip(tmp_path / "clip.mp4", seconds=5)
    source = ClipSource(video=tmp_path / "clip.mp4", text="hi")
    assert stretches_of(source, None) == [source]
    assert stretches_of(source, 6.0) == [source]
    parts = stretches_of(source, 2.0)
    assert [(p.start_seconds, p.end_seconds) for p in parts] == [(0, 2), (2, 4), (4, None)]
    assert [p.text for p in parts] == ["hi", None, None]
    inner = stretches_of(replace(source, start_seconds=1.0, end_seconds=4.5), 2.0)
    assert [(p.start_seconds, p.end_seconds) for p in inner] == [(1, 3), (3, 4.5)]


def test_a_stream_may_be_absent_in_some_stretches_and_a_failed_stretch_fails_the_clip():
    first = StretchResult({"audio": np.ones((2, 3))}, None, {"video": "no frame"}, {"share": 1.0})
    second = StretchResult({}, None, {"audio": "it ended", "video": "none there"}, {"share": 0.0})
    whole = join_stretches([first, second])
    assert whole.tokens["audio"].shape == (2, 3)
    assert whole.absent == {"video": "no frame"}
    assert whole.notes == {"share": 0.5}
    assert join_stretches([first, StretchResult(failure="broke at 3 s")]).failure == "broke at 3 s"


MEASURE = """
import sys
from pathlib import Path
from emo.extract.backbones.perceiver import Perceiver
import resource
from tests.extract.decode.test_stretches import run
options = Perceiver.tiny().options
run(Path(sys.argv[1]), sys.argv[2], options, [(None, None)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_five_minutes_take_the_memory_of_two(tmp_path):
    peaks = []
    for seconds in (120, 300):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        make_clip(folder / "clip.mp4", seconds=seconds, size=(320, 240))
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(folder), "clip.mp4"],
            capture_output=True, text=True, check=True,
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        )  # fmt: skip
        peaks.append(int(done.stdout) / 1024)
    print(f"peak MiB of 120 s and 300 s: {peaks}")
    assert peaks[1] < peaks[0] + 100
