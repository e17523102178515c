import dataclasses

import numpy as np
import pytest

from emo.extract.backbones.perceiver import Perceiver, PerceiverOptions, cut, square
from emo.extract.media import Media


@pytest.fixture(scope="module")
def tiny():
    return Perceiver.tiny()


def media(tiny, windows, sample_rate=1600):
    """The tiny model hears 1600 samples a second and sees windows of 0.16 s."""
    sizes, random = tiny.sizes, np.random.default_rng(0)
    shape = (windows * sizes.frames, sizes.height, sizes.width, 3)
    frames = random.integers(0, 256, shape, dtype=np.uint8)
    samples = random.normal(0, 0.1, (2, round(0.16 * windows * sample_rate)))
    return Media(frames=frames, samples=samples.astype(np.float32), sample_rate=sample_rate)


def encode(tiny, clip):
    (tokens,) = tiny.encode([tiny.prepare(clip).inputs])
    return tokens


def test_the_square_centre_is_kept():
    frame = np.zeros((10, 30, 3), np.uint8)
    frame[:, 10:20] = 200
    assert (square(frame, 4, 4) == 200).all()
    assert square(frame.transpose(1, 0, 2), 6, 8).shape == (6, 8, 3)


def test_a_frame_of_the_wanted_size_is_not_changed():
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(square(frame, 8, 8), frame)


def test_silence_follows_the_audio_of_the_last_window():
    sounds = cut(np.arange(1, 6, dtype=np.float32), np.array([0, 3]), 4)
    np.testing.assert_array_equal(sounds, [[1, 2, 3, 4], [4, 5, 0, 0]])


def test_audio_that_starts_after_its_end_is_silence():
    np.testing.assert_array_equal(cut(np.ones(2, np.float32), np.array([0, 4]), 4)[1], 0)


def test_windows_are_in_time_order_and_independent(tiny):
    clip = media(tiny, 3)
    whole = encode(tiny, clip)
    for window in range(3):
        frames = np.split(clip.frames, 3)[window]
        samples = np.split(clip.samples, 3, axis=1)[window]
        alone = encode(tiny, dataclasses.replace(clip, frames=frames, samples=samples))
        for name, tokens in alone.items():
            rows = slice(window * len(tokens), (window + 1) * len(tokens))
            np.testing.assert_allclose(whole[name][rows], tokens, atol=1e-5, rtol=1e-5)


def test_only_the_first_channel_is_heard(tiny):
    clip = media(tiny, 1)
    other = dataclasses.replace(clip, samples=clip.samples * [[1], [0]])
    np.testing.assert_array_equal(encode(tiny, other)["label"], encode(tiny, clip)["label"])


def test_a_clip_without_sound_says_why(tiny):
    clip = dataclasses.replace(media(tiny, 1), samples=None, absent={"audio": "no audio track"})
    prepared = tiny.prepare(clip)
    assert not prepared.inputs
    assert prepared.absent["label"] == "needs video and audio: no audio track"


def test_the_needs_without_weights_are_those_of_the_published_model():
    needs = Perceiver.needs(PerceiverOptions(weights="nowhere"))
    assert len(needs.frames.indices(np.arange(32) / 25)) == 32
    assert needs.transform(np.zeros((300, 400, 3), np.uint8)).shape == (224, 224, 3)


@pytest.mark.parametrize("options", [{"streams": "labels"}, {"streams": ""}, {"hop_seconds": 0.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        PerceiverOptions(**options)
