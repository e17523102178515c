import numpy as np
import pytest

from emo.extract.transforms.pitch import pitch


def voice(hertz, seconds=1.0, sample_rate=16000):
    """Ten harmonics falling by 6 dB an octave, in a little noise."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 11))
    noise = np.random.default_rng(0).normal(0, 0.05, len(time))
    return (0.2 * (wave + noise)).astype(np.float32)


@pytest.mark.parametrize("hertz", [70, 110, 220, 333, 450])
def test_a_voice_has_its_pitch(hertz):
    rows = pitch(voice(hertz), 16000, hop_seconds=0.02)
    assert rows.shape == (51, 2)
    inner = rows[3:-3]
    np.testing.assert_allclose(inner[:, 0], 12 * np.log2(hertz / 100), atol=0.2)
    assert (inner[:, 1] > 0.8).all()


def test_noise_and_silence_are_not_voiced():
    noise = np.random.default_rng(0).normal(0, 0.2, 16000).astype(np.float32)
    assert (pitch(noise, 16000, hop_seconds=0.02)[:, 1] < 0.5).mean() > 0.95
    assert (pitch(np.zeros(16000, np.float32), 16000, hop_seconds=0.02) == 0).all()


def test_pauses_are_bridged_between_the_voiced_parts():
    samples = np.concatenate([voice(110), np.zeros(16000, np.float32), voice(220)])
    rows = pitch(samples, 16000, hop_seconds=0.02)
    low, high = 12 * np.log2(1.1), 12 * np.log2(2.2)
    assert rows[75, 1] == 0
    assert rows[75, 0] == pytest.approx((low + high) / 2, abs=0.7)


@pytest.mark.parametrize("count", [1, 10, 800])
def test_a_few_samples_give_finite_rows(count):
    rows = pitch(voice(200)[:count], 16000, hop_seconds=0.02)
    assert rows.shape == (1 + count // 320, 2)
    assert np.isfinite(rows).all()
