"""Damaged and cut files: used, noted beside the tokens, warned of, and failed on request."""

import json

import av
import numpy as np
import pytest

from emo.datasets.check import check
from emo.errors import MediaError
from emo.extract.decode.decode import load_media
from emo.extract.decode.one_pass import load_segments
from emo.extract.decode.source import ClipSource
from emo.extract.decode.stretches import StretchResult, join_stretches
from emo.extract.job.folder import open_job
from emo.extract.job.request import requests_from_words
from emo.extract.media import Needs, Rate, Uniform
from emo.extract.run import ExtractOptions, extract
from emo.manifest import read_manifest
from emo.store import Store
from tests.ffmpeg import ffmpeg, write_film
from tests.make import make_clip

ALL = Needs(frames=Uniform(1000), keep_frames=True)
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-bf", "0")


def notes(path, start=None, end=None, need=ALL):
    source = ClipSource(video=path, start_seconds=start, end_seconds=end)
    return load_media(source, [need])[0].notes


CONCEALED, BROKEN = b"\x5a", b"\xff"
"""Bytes that the decoder of these films conceals and flags, and bytes that it refuses."""


def spoil(path, first, last, byte, start=5):
    """Overwrite the packets from ``first`` to before ``last``, each from its byte ``start`` on."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for position, size in packets[first:last]:
        content[position + start : position + size] = byte * (size - start)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module", params=[CONCEALED, BROKEN], ids=["concealed", "broken"])
def flipped(request, tmp_path_factory):
    """40 pictures, a keyframe every 10; pictures 13 and 14 are overwritten."""
    path = write_film(tmp_path_factory.mktemp("flipped") / "a.mp4", *H264)
    return spoil(path, 13, 15, request.param)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A webm of 2 s of which about 1.2 s are left."""
    folder = tmp_path_factory.mktemp("cut")
    path = write_film(folder / "a.webm", "-c:v", "libvpx", "-deadline", "realtime", sound=True)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    return path


def test_pictures_up_to_the_next_keyframe_are_damaged(flipped):
    assert notes(flipped) == {"damaged_frames": 7.0}
    assert len(load_media(ClipSource(video=flipped), [ALL])[0].frames) == 40
    assert notes(flipped, 0.0, 0.6) == {}
    assert notes(flipped, 0.0, 0.75) == {"damaged_frames": 2.0}
    assert notes(flipped, 0.7, 0.95) == {"damaged_frames": 5.0}
    assert notes(flipped, 1.0, 2.0) == {}


def test_only_the_frames_that_a_backbone_reads_count(flipped):
    needs = [
        ALL,
        Needs(frames=Rate(3, 10.0), keep_frames=True),
        Needs(audio=True),
        Needs(text=True),
    ]
    views = load_media(ClipSource(video=flipped, text="Hi"), needs)
    assert [view.notes for view in views] == [{"damaged_frames": 7.0}, {}, {}, {}]


def test_clips_of_one_pass_have_the_notes_that_they_have_alone(flipped, cut):
    stretches = [(0.0, 0.5), (0.4, 0.9), (0.9, 1.1), (1.05, 1.9), (1.5, None)]
    for path in (flipped, cut):
        sources = [ClipSource(video=path, start_seconds=a, end_seconds=b) for a, b in stretches]
        together = [media.notes for (media,) in load_segments(sources, [ALL])]
        assert together == [notes(path, *stretch) for stretch in stretches]


def test_what_a_cut_file_lacks_of_a_stretch(cut):
    media = load_media(ClipSource(video=cut), [ALL])[0]
    last = float(media.frame_seconds[-1]) + 0.05
    assert media.notes["seconds_lacking"] == pytest.approx(2 - last, abs=0.03)
    assert "seconds_lacking" not in notes(cut, 0.0, 0.8)
    assert notes(cut, 0.5, 1.6)["seconds_lacking"] == pytest.approx(1.6 - last, abs=0.01)


def test_a_gap_longer_than_a_second_is_a_failure_that_names_where_it_begins(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=4, size=(128, 128), audio=False)
    spoil(path, 12, 40, BROKEN, start=0)
    with pytest.raises(MediaError, match=r"decoding broke at 1\.\d\d s"):
        load_media(ClipSource(video=path), [ALL])


def test_notes_of_stretches_add_up():
    tokens = {"video": np.ones((1, 2), np.float32)}
    pieces = [
        StretchResult(tokens, notes={"damaged_frames": 2.0, "face_share": 0.5}),
        StretchResult(
            tokens, notes={"damaged_frames": 1.0, "seconds_lacking": 1.5, "face_share": 1}
        ),
    ]
    assert join_stretches(pieces).notes == {
        "damaged_frames": 3.0, "seconds_lacking": 1.5, "face_share": 0.75,
    }  # fmt: skip


@pytest.fixture
def manifest(tmp_path, flipped, cut):
    for path in (flipped, cut):
        (tmp_path / f"{path.parent.name[:3]}{path.suffix}").write_bytes(path.read_bytes())
    make_clip(tmp_path / "good.mp4")
    (tmp_path / "m.csv").write_text("id,video\nf,fli.mp4\nc,cut.webm\ng,good.mp4\n")
    return tmp_path / "m.csv"


def test_notes_lie_beside_the_tokens_and_strict_fails_such_clips(manifest, tmp_path):
    requests = requests_from_words(["classic", "faces"], ["classic.faces=centre", "faces.frames=2"])
    clips = read_manifest(manifest)
    assert extract(clips, tmp_path / "s", requests, progress=False).exit_code == 0
    for recipe in Store(tmp_path / "s").recipes.values():
        assert recipe.notes["f"]["damaged_frames"] == 7
        assert recipe.notes["c"]["seconds_lacking"] == pytest.approx(0.8, abs=0.2)
        assert {"damaged_frames", "seconds_lacking"}.isdisjoint(recipe.notes["g"])
    strict = ExtractOptions(is_strict=True)
    report = extract(clips, tmp_path / "strict", requests, strict, progress=False)
    assert report.exit_code == 3
    assert open_job(tmp_path / "strict").job.is_strict
    for failures in report.failures.values():
        assert failures.keys() == {"f", "c"}
        assert failures["f"] == "fli.mp4: 7 damaged frames (--strict-media)"
        assert "cut.webm: the file is cut: pictures lack at least 0." in failures["c"]
        assert failures["c"].endswith("(--strict-media)")


def test_a_job_folder_of_before_is_not_strict(manifest, tmp_path):
    requests = requests_from_words(["logmel"])
    report = extract(read_manifest(manifest), tmp_path / "s", requests, progress=False)
    path = report.folder.path / "job.json"
    document = json.loads(path.read_text())
    del document["strict_media"]
    path.write_text(json.dumps(document))
    assert not open_job(tmp_path / "s").job.is_strict


def test_the_command_takes_the_option(manifest, emo):
    code, out, _ = emo("extract", manifest, "--backbone", "classic", "--strict-media",
                       "-o", "faces=centre", "--device", "cpu")  # fmt: skip
    assert code == 3
    assert "damaged pictures or sound" in emo("extract", "--help")[1]
    assert "failed: f (classic): fli.mp4: 7 damaged frames (--strict-media)" in out


def test_check_warns_of_damage_and_of_cuts_in_the_words_of_extract(manifest):
    findings = {f.name: f for f in check(manifest).findings}
    damaged, cut = findings["clips with damaged media"], findings["clips whose file is cut"]
    assert (damaged.severity, cut.severity) == ("warning", "warning")
    assert damaged.found == ("f (7 damaged frames)",)
    (line,) = cut.found
    assert line.startswith("c (the file is cut: pictures lack at least 0.")
    fast = {f.name: f for f in check(manifest, fast=True).findings}
    assert fast["clips whose file is cut"].found == ("c (the file is cut)",)
    assert line.startswith(fast["clips whose file is cut"].found[0][:-1])


def test_theora_that_repeats_pictures_is_not_broken(tmp_path):
    """An empty packet shows the last picture again; to FFmpeg's decoder it is an error."""
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x48:r=20:d=1", "-c:v", "libtheora",
           "-pix_fmt", "yuv420p", tmp_path / "a.ogv")  # fmt: skip
    assert notes(tmp_path / "a.ogv") == {}
