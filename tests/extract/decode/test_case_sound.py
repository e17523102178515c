"""Files made for faults that reports showed (../shared/cases/media): the sound of each."""

import shutil

import numpy as np
import pytest

from emo.datasets.check import check
from emo.errors import MediaError
from emo.extract.decode.decode import load_each, load_media
from emo.extract.decode.sound.audio import read_sound
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from emo.manifest.make import from_folder
from tests.extract.decode.faulty_sound import lags


def read(path, start=None, end=None, track=None):
    return read_sound(path, channel="mix", track=track, start_seconds=start, end_seconds=end)


def test_sound_that_starts_late_is_as_if_silence_was_written_before_it(cases):
    late, filled = read(cases / "av_late1.mkv"), read(cases / "late_filled.mkv")
    np.testing.assert_array_equal(late.samples, filled.samples)
    assert (late.start_seconds, filled.start_seconds) == (1.0, 0.0)
    for low, high in ((0.0, 0.5), (0.9, 1.1), (1.5, 2.5)):
        part = read(cases / "av_late1.mkv", low, high).samples
        np.testing.assert_array_equal(part, read(cases / "late_filled.mkv", low, high).samples)


def test_lost_packets_are_silence(cases):
    sound = read(cases / "av_gap.mkv")
    assert sound.samples.shape[1] / 48000 == pytest.approx(3.0, abs=0.01)
    assert not sound.samples[:, round(1.06 * 48000) : round(2.02 * 48000)].any()
    assert np.abs(sound.samples[:, round(2.1 * 48000) :]).max() > 0.05
    assert sound.faults.notes["seconds_lacking"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", ["concat.ts", "concat.webm"])
def test_the_sound_of_joined_recordings_keeps_step_with_the_pictures(cases, name):
    sound = read(cases / name)
    rate = sound.sample_rate
    assert sound.samples.shape[1] / rate == pytest.approx(6.05, abs=0.06)
    # both recordings are the same, and the pictures of the second start at 3 s
    first, second = sound.samples[0][: 3 * rate], sound.samples[0][3 * rate :]
    found = [lag for at, lag, _ in lags(second, first, rate) if at > 0.2]
    assert len(found) > 8
    assert np.abs(found).max() <= 1
    part = read(cases / name, 3.5, 4.5).samples
    np.testing.assert_array_equal(part, sound.samples[:, 7 * rate // 2 : 9 * rate // 2])


def test_a_stretch_of_adpcm_is_where_it_is_in_the_whole(cases):
    whole = read(cases / "adpcm.wav")
    part = read(cases / "adpcm.wav", 10.0, 11.0)
    np.testing.assert_array_equal(part.samples, whole.samples[:, 160_000:176_000])


@pytest.mark.parametrize(
    ("name", "lacking", "words"),
    [
        ("trunc.wav", 1.50, "the file is cut: the audio ends at 1.50 s of 3.00 s"),
        ("t_x.flac", 1.49, "the file is cut: the audio ends at 1.51 s of 3.00 s"),
        ("t_x.mp3", 1.38, "the file is cut: the audio ends at 1.62 s of 3.00 s"),
        ("bad_x.ogg", 1.02, "the audio is damaged from 1.00 s to 2.02 s"),
        ("bad_aac.m4a", 0.064, "the audio is damaged from 1.47 s to 1.54 s"),
        ("flip_a.ts", 0.064, "the audio is damaged from 1.28 s to 1.34 s"),
        ("av_gap.mkv", 1.0, "audio is missing from 1.03 s to 2.04 s"),
    ],
)
def test_what_is_lacking_is_noted(cases, name, lacking, words):
    sound = read(cases / name)
    assert sound.samples is not None
    assert sound.faults.notes == {"seconds_lacking": pytest.approx(lacking, abs=0.01)}
    assert sound.faults.reasons[0].startswith(f"{name}: {words}")


def test_sound_after_a_lost_ogg_page_lies_at_its_own_time(cases):
    sound = read(cases / "bad_x.ogg")
    assert sound.samples.shape[1] / 16000 == pytest.approx(3.0, abs=0.01)
    assert not sound.samples[:, 16_500:32_000].any()
    assert np.abs(sound.samples[:, 33_000:]).max() > 0.05


def test_the_second_track_can_be_chosen(cases):
    assert not read(cases / "two_first.mp4").samples.any()
    assert np.abs(read(cases / "two_first.mp4", track="1").samples).max() > 0.05


def test_each_backbone_fails_only_for_what_it_reads(cases):
    broken = ClipSource(
        video=cases / "av_plain.mp4", audio=cases / "lfs_pointer.wav", text="never mind"
    )
    needs = [Needs(text=True), Needs(frames=Uniform(2), keep_frames=True), Needs(audio=True)]
    told, seen, heard = load_each(broken, needs)
    assert told.text == "never mind"
    assert len(seen.frames) == 2
    assert isinstance(heard, MediaError)
    with pytest.raises(MediaError, match="a Git LFS pointer: git lfs pull"):
        load_media(broken, needs)


def test_check_warns_of_all_of_them(cases, tmp_path):
    names = ("trunc.wav", "t_x.flac", "t_x.mp3", "bad_x.ogg", "silence.wav", "huge.wav",
             "two_first.mp4", "lfs_pointer.wav", "flip_a.ts", "av_late1.mkv")  # fmt: skip
    for name in names:
        shutil.copy(cases / name, tmp_path / name)
    from_folder(tmp_path, out=tmp_path / "m.csv")
    report = check(tmp_path / "m.csv")
    found = {f.name: {text.split(" (")[0] for text in f.found} for f in report.findings if f.found}
    assert found["clips with damaged media"] == {"bad_x.ogg", "flip_a.ts"}
    assert found["clips whose file is cut"] == {"trunc.wav", "t_x.flac", "t_x.mp3"}
    assert found["clips with silent sound"] == {"silence.wav", "two_first.mp4"}
    assert found["clips with sound beyond full scale"] == {"huge.wav"}
    assert "two_first.mp4 (all samples are 0; 2 audio tracks: choose in audio_track)" in (
        report.table()
    )
    assert "lfs_pointer.wav: a Git LFS pointer: git lfs pull" in report.table()
