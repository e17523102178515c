from pathlib import Path

import numpy as np
import pytest

from emo.extract.transforms.audio import resample_audio, to_mono
from emo.extract.transforms.log_mel import log_mel
from tests.extract.transforms.make_librosa_golden import GOLDEN, speechlike
from tests.make import tone


@pytest.mark.parametrize("name", GOLDEN)
def test_log_mel_is_librosas(name):
    sample_rate, options = GOLDEN[name]
    with np.load(Path(__file__).with_name("librosa_log_mel.npz")) as golden:
        expected = golden[name]
    found = log_mel(speechlike(0.25, sample_rate), sample_rate, **options)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_louder_by_6_db_is_6_db_higher():
    samples = speechlike()
    np.testing.assert_allclose(
        log_mel(2 * samples, 16000) - log_mel(samples, 16000), 6.0206, atol=1e-3
    )


@pytest.mark.parametrize("count", [1, 2, 399, 400, 800])
def test_any_sample_gives_a_row_and_silence_is_finite(count):
    rows = log_mel(np.zeros(count, np.float32), 16000)
    assert rows.shape == (1 + count // 160, 64)
    np.testing.assert_allclose(rows, -100, atol=1e-3)


def test_long_audio_is_computed_in_blocks_without_seams():
    samples = np.tile(speechlike(1.0), 45)  # more rows than one block
    rows = log_mel(samples, 16000, mels=8)
    np.testing.assert_allclose(rows[4000:4200], rows[1000:1200], atol=1e-3)


def test_empty_or_two_channels_are_refused():
    for samples in (np.zeros(0, np.float32), np.zeros((2, 100), np.float32)):
        with pytest.raises(ValueError, match="expected samples"):
            log_mel(samples, 16000)


def test_a_band_of_no_width_is_refused():
    with pytest.raises(ValueError, match="fmin < fmax"):
        log_mel(speechlike(), 16000, fmin=9000.0)


def test_mono_is_the_mean_and_resampling_keeps_the_tone():
    stereo = tone(1.0, 48000, 2)
    mono = to_mono(stereo)
    np.testing.assert_allclose(mono, stereo[0] * 0.75, atol=1e-6)
    found = resample_audio(mono, 48000, 16000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[500:-500], 0.75 * tone(1.0, 16000, 1)[0, 500:-500], atol=1e-3)
    assert len(resample_audio(np.ones(1, np.float32), 48000, 8000)) == 1
