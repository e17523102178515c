import wave

import av
import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.audio import read_audio
from emo.extract.transforms.audio import to_mono
from tests.make import make_clip, tone


def read(path, channel="mix", start=None, end=None):
    return read_audio(path, channel=channel, start_seconds=start, end_seconds=end)


def ramp(seconds, sample_rate):
    """(1, S): each sample's value is its index."""
    count = round(seconds * sample_rate)
    return (np.arange(count, dtype=np.float32)[None] - count / 2) / 32767


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mkv", "flac")]
)
@pytest.mark.parametrize("start", [None, 0.0, 0.3, 2.2001])
def test_a_stretch_is_cut_to_the_sample(tmp_path, name, codec, start):
    path = make_clip(
        tmp_path / name, video=False, samples=ramp(3, 8000), sample_rate=8000, audio_codec=codec
    )
    whole, rate = read(path)
    assert (whole.shape, rate) == ((1, 24000), 8000)
    samples, _ = read(path, start=start, end=2.5)
    first = round((start or 0) * 8000)
    if name == "a.mkv":  # its clock ticks in milliseconds: 8 samples
        first = int(np.argmin(np.abs(whole[0] - samples[0, 0])))
        assert abs(first - (start or 0) * 8000) <= 8
    np.testing.assert_array_equal(samples[0], whole[0, first : first + samples.shape[1]])
    assert samples.shape[1] == pytest.approx(20000 - (start or 0) * 8000, abs=9)


def test_seeking_in_a_video_file_gives_the_samples_of_reading_from_the_start(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=6)
    whole, rate = read(path)
    samples, _ = read(path, start=4.0, end=5.0)
    expected = whole[:, 4 * rate : 5 * rate]
    assert samples.shape == expected.shape
    np.testing.assert_allclose(samples, expected, atol=1e-6)


def test_channels_are_never_mixed_by_the_decoder(tmp_path):
    wave = tone(0.5, 16000, 2)
    path = make_clip(tmp_path / "a.wav", video=False, samples=wave, audio_codec="pcm_f32le")
    samples, _ = read(path)
    np.testing.assert_array_equal(samples, wave)
    np.testing.assert_allclose(to_mono(samples), wave.mean(axis=0), atol=1e-7)  # not sqrt(2) louder
    np.testing.assert_array_equal(read(path, "left")[0], wave[:1])
    np.testing.assert_array_equal(read(path, "right")[0], wave[1:])
    np.testing.assert_array_equal(read(path, "1")[0], wave[1:])


@pytest.mark.parametrize("channel", ["2", "centre", "-1"])
def test_a_channel_that_does_not_exist_says_how_many_there_are(tmp_path, channel):
    path = make_clip(tmp_path / "a.wav", video=False, channels=2, audio_codec="pcm_s16le")
    with pytest.raises(MediaError, match=r"has 2 channel\(s\)"):
        read(path, channel)


@pytest.mark.parametrize(
    ("codec", "step"), [("pcm_u8", 1 / 127), ("pcm_s16le", 1e-4), ("pcm_f32le", 0)]
)
def test_every_sample_format_has_the_same_scale(tmp_path, codec, step):
    path = make_clip(tmp_path / "a.wav", video=False, audio_codec=codec)
    np.testing.assert_allclose(read(path)[0], tone(1, 16000, 1), atol=step + 1e-6)


def test_loud_samples_are_not_clamped_and_no_number_is_a_failure(tmp_path):
    wave = tone(0.1, 16000, 1) * 4
    path = tmp_path / "a.wav"
    make_clip(path, video=False, samples=wave, audio_codec="pcm_f32le")
    np.testing.assert_array_equal(read(path)[0], wave)
    wave[0, 800] = np.nan
    make_clip(path, video=False, samples=wave, audio_codec="pcm_f32le")
    with pytest.raises(MediaError, match=r"not numbers at 0\.05 s"):
        read(path)


def test_what_a_file_lacks_is_an_absence_and_a_file_of_nothing_an_error(tmp_path):
    silent = make_clip(tmp_path / "a.mp4", audio=False)
    assert read(silent) == "the file has no audio track"
    empty = tmp_path / "empty.wav"
    with wave.open(str(empty), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
    with pytest.raises(MediaError, match="the audio has no samples"):  # nothing else is in it
        read(empty)
    short = make_clip(tmp_path / "b.wav", video=False, audio_codec="pcm_s16le")
    assert "ends at 1.00 s" in read(short, start=2, end=3)


def test_damaged_audio_names_the_second(tmp_path):
    path = make_clip(tmp_path / "a.mp4", video=False, seconds=4)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [
            (float(p.pts * p.time_base), p.pos, p.size) for p in container.demux(audio=0) if p.size
        ]
    for seconds, position, size in packets:
        if 1.5 < seconds < 2:
            content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"decoding the audio broke at 1\.\d\d s"):
        read(path)
