"""Kaldi's log-mel bands and the sinc resampling, against other code and against what must hold.

The numbers of the original code itself are in tests/parity.
"""

import numpy as np
import pytest

from emo.extract.transforms.kaldi import FLOOR, centred, fbank, mel_bank, sinc_resample


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def tone(hertz, rate, seconds=1.0):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("bands", [40, 80, 112])
def test_bands_are_those_of_transformers(bands):
    from transformers import audio_utils

    bank = audio_utils.mel_filter_bank(
        num_frequency_bins=257, num_mel_filters=bands, min_frequency=20, max_frequency=8000,
        sampling_rate=16000, norm=None, mel_scale="kaldi", triangularize_in_mel_space=True,
    )  # fmt: skip
    np.testing.assert_allclose(mel_bank(16000, 512, bands, 20, 8000), bank, atol=1e-4)
    window = audio_utils.window_function(400, "hann", periodic=False)
    samples = noise(16000)
    theirs = audio_utils.spectrogram(
        samples, window, frame_length=400, hop_length=160, fft_length=512, power=2.0,
        center=False, preemphasis=0.97, mel_filters=bank, log_mel="log", mel_floor=FLOOR,
        remove_dc_offset=True,
    ).T  # fmt: skip
    np.testing.assert_allclose(fbank(samples, bands=bands), theirs, atol=1e-3)


@pytest.mark.parametrize(("length", "rows"), [(1, 1), (400, 1), (559, 1), (560, 2), (16000, 98)])
def test_only_whole_windows_give_rows_and_one_is_filled_up_with_zeros(length, rows):
    assert fbank(noise(length), bands=20).shape == (rows, 20)
    padded = np.pad(noise(length), (0, max(0, 400 - length)))
    np.testing.assert_array_equal(fbank(noise(length), bands=20), fbank(padded, bands=20))


def test_silence_is_the_floor():
    assert (fbank(np.zeros(800, np.float32), bands=20) == np.log(np.float32(FLOOR))).all()


@pytest.mark.parametrize("hertz", [300, 1000, 4000])
def test_a_tone_is_loudest_in_the_band_that_holds_it(hertz):
    bank = mel_bank(16000, 512, 60, 20, 8000).numpy()  # (bins, bands)
    loudest = fbank(tone(hertz, 16000), bands=60).mean(0).argmax()
    assert abs(int(loudest) - int(bank[round(hertz / 16000 * 512)].argmax())) <= 1


def test_long_sound_is_the_same_as_its_pieces():
    samples = noise(160 * 5000 + 240)
    whole = fbank(samples, bands=20)
    np.testing.assert_allclose(whole[4090:], fbank(samples[4090 * 160 :], bands=20), atol=1e-5)


def test_window_and_its_period_are_options():
    samples = noise(4000)
    kinds = [{}, {"is_periodic": True}, {"window": "hamming"}, {"pre_emphasis": 0.0}, {"high": 4e3}]
    results = [fbank(samples, bands=20, **kind) for kind in kinds]
    for index, result in enumerate(results[1:], 1):
        assert np.isfinite(result).all()
        assert (result != results[0]).any(), kinds[index]


@pytest.mark.parametrize("shape", [(100,), (2, 50000), (1, 300000)])
def test_centred_has_no_mean_over_all_channels(shape):
    samples = noise(*shape) + 0.3
    assert abs(centred(samples).mean(dtype=np.float64)) < 1e-7
    np.testing.assert_allclose(centred(samples), samples - samples.mean(), atol=1e-6)


def test_centred_keeps_nothing_nothing():
    assert centred(np.zeros((2, 0), np.float32)).shape == (2, 0)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_a_tone_stays_the_same_tone_at_another_rate(rate):
    ours, expected = sinc_resample(tone(440, rate), rate, 16000), tone(440, 16000)
    assert len(ours) == len(expected)
    np.testing.assert_allclose(ours[200:-200], expected[200:-200], atol=2e-3)


def test_what_the_new_rate_cannot_hold_is_gone():
    assert np.abs(sinc_resample(tone(11000, 44100), 44100, 16000)[200:-200]).max() < 0.01


@pytest.mark.parametrize("length", [1, 7, 441, 1000])
def test_the_length_is_rounded_up_and_channels_stay_apart(length):
    samples = noise(2, length)
    both = sinc_resample(samples, 44100, 16000)
    assert both.shape == (2, -(-length * 160 // 441))
    np.testing.assert_allclose(both[1], sinc_resample(samples[1], 44100, 16000), atol=1e-6)


def test_the_same_rate_changes_nothing():
    samples = noise(2, 99)
    np.testing.assert_array_equal(sinc_resample(samples, 16000, 16000), samples)
