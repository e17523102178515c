"""Limits that the user sets: over one, a clip fails with a reason that names limit and option."""

import wave

import numpy as np
import pytest

from emo.errors import MediaError, OptionError
from emo.extract.decode import limits
from emo.extract.decode.decode import load_media
from emo.extract.decode.limits import MediaLimits, media_limits, set_limits
from emo.extract.decode.one_pass import load_segments
from emo.extract.decode.sound import audio
from emo.extract.decode.source import ClipSource
from emo.extract.decode.sources.bodies import begin_job
from emo.extract.decode.stretches import stretches_of
from emo.extract.job.folder import open_job
from emo.extract.media import Needs, Uniform
from emo.store.store import Store
from tests.make import make_clip

BOTH = Needs(frames=Uniform(2), keep_frames=True, audio=True)


@pytest.fixture(autouse=True)
def no_limits():
    yield
    set_limits()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("limits") / "a.mp4"
    make_clip(path, seconds=2.0, fps=10, size=(64, 48))
    return path


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"file_bytes": 999}, r"a\.mp4: the file has [\d,]+ bytes; at most 999 .*\(--max-bytes\)"),
        ({"clip_seconds": 1.5}, r"a\.mp4: the clip is longer than 1\.5 s \(--max-seconds\)"),
        (
            {"clip_pixels": 20 * 64 * 48 - 1},
            r"a\.mp4: the clip has 20 pictures of 64 x 48 pixels; at most 61,439 .*--max-pixels",
        ),
    ],
)
def test_a_clip_beyond_a_limit_fails_and_names_the_option(clip, limit, said):
    source = ClipSource(video=clip)
    (whole,) = load_media(source, [BOTH])
    set_limits(MediaLimits(**limit))
    with pytest.raises(MediaError, match=said):
        load_media(source, [BOTH])
    if "file_bytes" not in limit:  # a stretch of the file is within the limits
        short = ClipSource(video=clip, start_seconds=0.5, end_seconds=1.0)
        assert len(load_media(short, [BOTH])[0].frames) == 2
    else:
        pair = [ClipSource(video=clip, start_seconds=k, end_seconds=k + 1) for k in (0, 1)]
        for (found,) in load_segments(pair, [BOTH]):
            assert isinstance(found, MediaError)
    set_limits(MediaLimits(1e6, 2.1, 20 * 64 * 48))
    (again,) = load_media(source, [BOTH])
    assert np.array_equal(again.frames, whole.frames)
    assert np.array_equal(again.samples, whole.samples)


def silence(path, seconds, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(2 * rate * seconds))


def test_long_sound_is_refused_by_its_packets_before_it_is_decoded(tmp_path, monkeypatch):
    silence(tmp_path / "a.wav", 100, 16_000)
    monkeypatch.setattr(audio, "_MEASURED_BYTES", 2**16)
    held, hold = [], audio.ClipBudget.hold

    def noted(self, array, **more):
        held.append(array.nbytes)
        hold(self, array, **more)

    monkeypatch.setattr(audio.ClipBudget, "hold", noted)
    need = Needs(audio=True)
    with pytest.raises(MediaError, match="--clip-memory"):
        load_media(ClipSource(audio=tmp_path / "a.wav", most_bytes=4_000_000), [need])
    assert sum(held) < 200_000
    source = ClipSource(audio=tmp_path / "a.wav", most_bytes=6_500_000)
    assert load_media(source, [need])[0].samples.shape == (1, 1_600_000)
    part = ClipSource(audio=tmp_path / "a.wav", start_seconds=10, end_seconds=50,
                      most_bytes=6_000_000)  # fmt: skip
    assert load_media(part, [need])[0].samples.shape == (1, 640_000)
    set_limits(MediaLimits(clip_seconds=60))
    held.clear()
    with pytest.raises(MediaError, match="longer than 60 s"):
        load_media(ClipSource(audio=tmp_path / "a.wav"), [need])
    assert not held  # its headers say so, and its packets
    assert stretches_of(ClipSource(audio=tmp_path / "a.wav"), 30.0) == [
        ClipSource(audio=tmp_path / "a.wav")
    ]
    header = bytearray((tmp_path / "a.wav").read_bytes())
    header[40:44] = header[4:8] = b"\xff" * 4  # a length that the recorder did not know
    (tmp_path / "b.wav").write_bytes(header)
    with pytest.raises(MediaError, match="longer than 60 s"):
        load_media(ClipSource(audio=tmp_path / "b.wav"), [need])


def test_the_options_are_those_of_one_job(emo, clip, tmp_path):
    (tmp_path / "m.csv").write_text(f"id,video\na,{clip}\n")
    words = ["extract", "m.csv", "--root", clip.parent, "--backbone", "logmel"]
    code, out, _ = emo(*words, "--max-seconds", 1)
    assert (code, "--max-seconds" in out) == (3, True)
    set_limits()
    job = open_job(tmp_path / "features").job
    assert job.limits == MediaLimits(clip_seconds=1)
    begin_job(job.hosts, job.limits)  # what every worker does
    assert media_limits() == job.limits
    reason = Store(tmp_path / "features").recipes["logmel"].failures["a"]
    assert reason.startswith("a.mp4: the clip is longer than 1 s (--max-seconds)")
    assert emo(*words, "--retry-failed")[0] == 0  # the limit was that of the one command
    code, _, err = emo(*words, "--timeout", 0)
    assert (code, "--timeout: expected a number above 0, got 0" in err) == (1, True)


def test_limits_of_a_document_are_read_and_unknown_ones_ignored():
    found = MediaLimits.from_json({"clip_seconds": 3.5, "colour": 1.0})
    assert found == MediaLimits(clip_seconds=3.5)
    assert found.to_json() == {"clip_seconds": 3.5}
    assert MediaLimits().to_json() == {}
    for name in limits.MediaLimits.__dataclass_fields__:
        with pytest.raises(OptionError, match="expected a number above 0"):
            MediaLimits(**{name: -1})
