import numpy as np
import pytest

from emo.datasets.synthetic.plan import CLASSES
from emo.datasets.synthetic.speech import SAMPLE_RATE, speak
from emo.datasets.synthetic.voices import MANNERS, VOICES


def spoken(name, voice=0, seed=0, seconds=2.5):
    return speak(np.random.default_rng(seed), VOICES[voice], MANNERS[name], seconds)


@pytest.mark.parametrize(("name", "voice"), [(CLASSES[k % 4], k) for k in range(6)])
def test_sound_is_finite_and_never_clips(name, voice):
    speech = spoken(name, voice, seed=voice)
    assert speech.samples.dtype == np.float32
    assert len(speech.samples) == len(speech.envelope) == 2.5 * SAMPLE_RATE
    assert np.isfinite(speech.samples).all()
    assert 0.05 < np.abs(speech.samples).max() < 0.95


def test_the_envelope_opens_and_closes():
    envelope = spoken("neutral").envelope
    assert envelope.min() == 0
    assert 0.5 < envelope.max() <= 1
    quiet, loud = envelope < 0.02, envelope > 0.4
    samples = spoken("neutral").samples
    assert samples[loud].std() > 3 * samples[quiet].std()


def test_anger_is_louder_than_sadness_for_every_voice():
    for voice in range(6):
        angry = np.mean([spoken("angry", voice, seed).samples.std() for seed in range(2)])
        sad = np.mean([spoken("sad", voice, seed).samples.std() for seed in range(2)])
        assert angry > 1.5 * sad


def test_happiness_is_higher_than_neutral():
    from emo.extract.transforms.pitch import pitch

    def height(name):
        tones = [pitch(spoken(name, 0, k).samples, SAMPLE_RATE, hop_seconds=0.02) for k in range(3)]
        return np.mean([np.median(tone[tone[:, 1] > 0.5, 0]) for tone in tones])

    assert height("happy") > height("neutral") + 2  # semitones
