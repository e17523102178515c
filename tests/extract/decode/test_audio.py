import re
import wave

import av
import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.sound.audio import read_audio, read_sound
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
    np.testing.assert_array_equal(samples, whole[:, first:20000])


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


def test_damaged_audio_is_silence_at_its_own_time_and_named(tmp_path):
    path = make_clip(tmp_path / "a.mp4", video=False, seconds=4)
    whole = sound_of(path)
    content = bytearray(path.read_bytes())
    for seconds, position, size in packets_of(path):
        if 1.5 < seconds < 2:
            content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    sound = sound_of(path)
    assert sound.samples.shape == whole.samples.shape
    np.testing.assert_array_equal(sound.samples[:, :23000], whole.samples[:, :23000])
    np.testing.assert_array_equal(sound.samples[:, 35000:], whole.samples[:, 35000:])
    assert not sound.samples[:, 25000:31000].any()
    assert sound.faults.notes["seconds_lacking"] == pytest.approx(0.5, abs=0.13)
    (reason,) = sound.faults.reasons
    assert re.match(r"a\.mp4: the audio is damaged from 1\.\d\d s to 2\.\d\d s", reason)
    inside = sound_of(path, start=1.6, end=1.9)
    assert inside.samples is None
    assert "damaged from 1.60 s to 1.90 s" in inside.absent


def test_audio_of_which_nothing_can_be_decoded_is_an_error(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=1)
    content = bytearray(path.read_bytes())
    for _, position, size in packets_of(path):
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mp4: decoding the audio broke at 0\.00 s: "):
        read(path)


def packets_of(path):
    with av.open(str(path)) as container:
        return [
            (float(p.pts * p.time_base), p.pos, p.size) for p in container.demux(audio=0) if p.size
        ]


def sound_of(path, start=None, end=None, track=None):
    return read_sound(path, channel="mix", track=track, start_seconds=start, end_seconds=end)


@pytest.fixture
def two_tracks(tmp_path):
    """A film in two languages: the first track is silent."""
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        tracks = [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        for track, language in zip(tracks, ("eng", "fra"), strict=True):
            track.metadata["language"] = language
            track.disposition = 0  # neither is the default one
        for track, level in zip(tracks, (0, 9000), strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.full((1, 8000), level, np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 8000, 0
            container.mux(track.encode(frame))
    return path


def test_an_audio_track_is_chosen_by_number_or_language(two_tracks):
    assert not sound_of(two_tracks).samples.any()
    for track in ("1", " 1 ", "fra", "fre", "fr", "fr-CA"):
        assert (sound_of(two_tracks, track=track).samples > 0.2).all()
        assert (sound_of(two_tracks, 0.5, 0.7, track).samples > 0.2).all()
    with pytest.raises(
        MediaError, match=r"two\.mkv: audio_track 'deu': no such track; .* 1 \(fra\)"
    ):
        sound_of(two_tracks, track="deu")
    with pytest.raises(MediaError, match="audio_track '2'"):
        sound_of(two_tracks, track="2")


def test_a_wav_with_a_wrong_byte_rate_is_not_sought(tmp_path):
    path = make_clip(
        tmp_path / "a.wav", video=False, samples=ramp(8, 8000), sample_rate=8000,
        audio_codec="pcm_s16le",
    )  # fmt: skip
    whole, _ = read(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"fmt ") + 16
    content[at : at + 4] = (32000).to_bytes(4, "little")  # twice the true one
    path.write_bytes(content)
    samples, rate = read(path, start=4.0, end=5.0)
    np.testing.assert_array_equal(samples, whole[:, 4 * rate : 5 * rate])


@pytest.mark.parametrize("codec", ["adpcm_ms", "adpcm_ima_wav", "g722"])
def test_a_wav_that_is_not_pcm_is_decoded_from_the_start(tmp_path, codec):
    random = np.random.default_rng(0)
    noise = (0.2 * random.standard_normal((1, 12 * 16000))).clip(-1, 1).astype(np.float32)
    path = make_clip(tmp_path / "a.wav", video=False, samples=noise, audio_codec=codec)
    whole, rate = read(path)
    samples, _ = read(path, start=10.0, end=11.0)
    np.testing.assert_array_equal(samples, whole[:, 10 * rate : 11 * rate])
