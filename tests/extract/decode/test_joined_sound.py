"""Sound files that were joined: each part is read once, whatever its length."""

import numpy as np
import pytest

from emo.extract.decode.sound.audio import read_sound
from tests.ffmpeg import ffmpeg

RATE = 48000


def tone(path, pitch, seconds, *options):
    ffmpeg("-f", "lavfi", "-i", f"sine=f={pitch}:r={RATE}:d={seconds}", *options, path)
    return path.read_bytes()


def read(path, start=None, end=None):
    return read_sound(path, channel="mix", track=None, start_seconds=start, end_seconds=end)


def pitch_of(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * RATE / len(samples)


@pytest.mark.parametrize("seconds", [0.5, 0.98, 1.0, 1.02])
def test_joined_opus_of_any_length_is_read_to_its_end(tmp_path, seconds):
    path = tmp_path / "a.opus"
    parts = [tone(path, pitch, seconds) for pitch in (500, 700, 900)]
    path.write_bytes(b"".join(parts))
    sound = read(path)
    assert sound.samples.shape[1] / RATE == pytest.approx(3 * seconds, abs=0.02)
    assert sound.faults.notes == {}
    for index, pitch in enumerate((500, 700, 900)):
        middle = (index + 0.5) * seconds
        low, high = round((middle - 0.1) * RATE), round((middle + 0.1) * RATE)
        assert pitch_of(sound.samples[0, low:high]) == pytest.approx(pitch, abs=10)
        part = read(path, middle - 0.1, middle + 0.1)
        np.testing.assert_allclose(part.samples[0], sound.samples[0, low:high], atol=0.02)
