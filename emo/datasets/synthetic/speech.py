"""Synthesise speech without words: glottal pulses and breath, filtered by vowel resonances.

Pitch, rate, loudness and voice quality depend on the shown class and on the speaker. Source: the
source-filter model of Fant 1960; resonators of Klatt 1980; vowels of Peterson and Barney 1952.
"""

from dataclasses import dataclass

import numpy as np

from emo.datasets.synthetic.voices import VOICE_SCATTER, Manner, Voice

SAMPLE_RATE = 16000
"""Samples per second of the synthetic sound."""
VOWELS = np.array([[730, 1090, 2440, 3500], [530, 1840, 2480, 3500], [390, 1990, 2550, 3600],
                   [570, 840, 2410, 3300], [440, 1020, 2240, 3300], [490, 1350, 1690, 3200]],
                  dtype=float)  # fmt: skip
"""float (6, 4): frequencies of the first four resonances of /ɑ ɛ ɪ ɔ ʊ ɝ/, Hz."""
BANDWIDTHS = np.array([70.0, 100.0, 150.0, 250.0])
"""float (4,): bandwidths of the resonances, Hz."""


@dataclass(frozen=True, eq=False)
class Speech:
    """Synthetic speech of one clip."""

    samples: np.ndarray
    """float32 (S,) in [-1, 1] at ``SAMPLE_RATE``."""
    envelope: np.ndarray
    """float (S,): how far the mouth is open, 0 to 1, whatever the loudness."""


@dataclass(frozen=True, eq=False)
class _Syllables:
    """The K syllables of one clip."""

    start: np.ndarray
    """float (K,): start in seconds."""
    length: np.ndarray
    """float (K,): length in seconds."""
    vowel: np.ndarray
    """int (K,): index in ``VOWELS``."""
    stress: np.ndarray
    """float (K,): stress from 0.4 to 1."""


def speak(rng: np.random.Generator, voice: Voice, shown: Manner, seconds: float) -> Speech:
    """Synthesise the speech of one clip.

    Args:
        rng: the clip's generator.
        voice: voice of the speaker.
        shown: manner of the shown class.
        seconds: length of the clip.
    """
    manner = _scattered(rng, shown)
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    syllables = _syllables(rng, manner.rate * voice.rate, seconds)
    envelope = _envelope(syllables, times)
    source = _source(rng, manner, _pitch(rng, voice, manner, syllables, times))
    voiced = _articulate(source * envelope, syllables, times, voice.tract)
    voiced /= np.sqrt(np.mean(voiced**2) + 1e-12)
    hiss = _consonants(rng, syllables, times)
    level = 10 ** ((-23.0 + voice.loudness + manner.loudness) / 20)
    room = rng.normal(size=len(times)) * 10 ** (voice.noise / 20)
    samples = (voiced + 0.25 * hiss) * level + room
    samples = 0.9 * np.tanh(samples / 0.9)  # a soft limit instead of clipping
    return Speech(samples.astype(np.float32), envelope)


def _scattered(rng: np.random.Generator, manner: Manner) -> Manner:
    """Return a manner with random deviations, as one clip of the class has."""
    noise = rng.normal(size=8).clip(-2, 2)
    values = np.array(list(vars(manner).values())) + noise * list(vars(VOICE_SCATTER).values())
    pitch, melody, fall, rate, loudness, breath, tension, jitter = map(float, values)
    return Manner(pitch, max(melody, 0.2), fall, max(rate, 2.0), loudness,
                  float(np.clip(breath, 0.02, 0.8)), float(np.clip(tension, 0, 1)),
                  max(jitter, 0.001))  # fmt: skip


def _syllables(rng: np.random.Generator, rate: float, seconds: float) -> _Syllables:
    """Draw syllables from 0.1 s to nearly the end, with pauses as between words.

    Args:
        rng: the clip's generator.
        rate: syllables per second.
        seconds: length of the clip.
    """
    start, length, time = [], [], 0.1
    while time < seconds - 0.6 / rate:
        start.append(time)
        length.append(rng.uniform(0.75, 1.15) / rate)
        time += length[-1] + (rng.uniform(0.2, 0.5) / rate if rng.random() < 0.25 else 0)
    count = len(start)
    vowel, stress = rng.integers(len(VOWELS), size=count), rng.uniform(0.4, 1.0, size=count)
    return _Syllables(np.array(start), np.array(length), vowel, stress)


def _envelope(syllables: _Syllables, times: np.ndarray) -> np.ndarray:
    """Return float (S,) from 0 to 1 with a peak for each syllable, rising faster than falling."""
    coarse = np.arange(0, times[-1] + 0.002, 0.002)
    share = (coarse - syllables.start[:, None]) / syllables.length[:, None]  # (K, coarse)
    hump = np.sin(np.pi * np.clip(share, 0, 1) ** 0.8) ** 0.7
    return np.asarray(np.interp(times, coarse, (hump * syllables.stress[:, None]).max(axis=0)))


def _pitch(
    rng: np.random.Generator,
    voice: Voice,
    manner: Manner,
    syllables: _Syllables,
    times: np.ndarray,
) -> np.ndarray:
    """Return the pitch, float (S,) in Hz: a falling line with an accent on every syllable."""
    middles = syllables.start + syllables.length / 2
    accents = manner.melody * rng.normal(size=len(middles)).clip(-1.8, 1.8)
    line = manner.pitch + manner.fall * (0.5 - times / times[-1])
    semitones = line + np.interp(times, middles, accents)
    return np.asarray(voice.pitch * 2 ** (semitones / 12))


def _source(rng: np.random.Generator, manner: Manner, pitch: np.ndarray) -> np.ndarray:
    """Return the source, float (S,): glottal pulses (Rosenberg 1971) with jitter, and breath.

    Args:
        rng: the clip's generator.
        manner: manner of the clip.
        pitch: float (S,), Hz.
    """
    periods = np.cumsum(pitch) / SAMPLE_RATE
    jitter = 1 + manner.jitter * rng.normal(size=int(periods[-1]) + 2)
    phase = np.cumsum(pitch * jitter[periods.astype(int)]) / SAMPLE_RATE % 1.0
    rise, fall = 0.42, 0.30 - 0.24 * manner.tension  # shares of the period
    opening = 0.5 * (1 - np.cos(np.pi * phase / rise))
    closing = np.cos(np.pi / 2 * np.clip((phase - rise) / fall, 0, 1))
    flow = np.where(phase < rise, opening, closing)
    pulses = np.diff(flow, prepend=0.0)
    breath = rng.normal(size=len(phase)) * (0.3 + flow)
    return np.asarray(pulses / pulses.std() + manner.breath * breath / breath.std())


def _articulate(
    source: np.ndarray, syllables: _Syllables, times: np.ndarray, tract: float
) -> np.ndarray:
    """Filter the source by the vowels' resonances, cross-faded from syllable to syllable.

    Args:
        source: float (S,).
        syllables: vowels and their times.
        times: float (S,), seconds.
        tract: factor on the resonances' frequencies.

    Returns:
        float (S,).
    """
    middles = syllables.start + syllables.length / 2
    spectrum = np.fft.rfft(source, _padded(source))
    output = np.zeros_like(source)
    for index, hertz in enumerate(VOWELS):
        weight = np.interp(times, middles, (syllables.vowel == index).astype(float))
        if weight.any():
            voiced = np.fft.irfft(spectrum * _resonance(hertz * tract, len(spectrum)))
            output += weight * voiced[: len(source)]
    return output


def _resonance(hertz: np.ndarray, count: int) -> np.ndarray:
    """Return the frequency response of resonators of second order in cascade.

    Args:
        hertz: float (4,), frequencies of the resonances.
        count: number of frequencies, from 0 to half the sample rate.

    Returns:
        complex (count,).
    """
    radius = np.exp(-np.pi * BANDWIDTHS / SAMPLE_RATE)
    b, c = 2 * radius * np.cos(2 * np.pi * hertz / SAMPLE_RATE), -(radius**2)
    delay = np.exp(-1j * np.linspace(0, np.pi, count))
    response = np.ones(count, dtype=complex)
    for section in range(len(hertz)):
        response *= 1 - b[section] - c[section]  # unit gain at 0 Hz
        response /= 1 - (b[section] + c[section] * delay) * delay
    return response


def _consonants(rng: np.random.Generator, syllables: _Syllables, times: np.ndarray) -> np.ndarray:
    """Return float (S,), short hisses of 2.5 to 6 kHz at the start of half of the syllables."""
    spectrum = np.fft.rfft(rng.normal(size=_padded(times)))
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    spectrum *= np.exp(-(((hertz - 4250) / 1500) ** 4))
    spoken = rng.random(len(syllables.start)) < 0.5
    centres = syllables.start[spoken]
    shape = np.exp(-(((times - centres[:, None]) / 0.025) ** 2)).sum(axis=0)
    return np.asarray(np.fft.irfft(spectrum)[: len(times)] * shape)


def _padded(samples: np.ndarray) -> int:
    """Return a length of transform that is fast and leaves room for the filters to decay."""
    return int(2 ** np.ceil(np.log2(len(samples) + 1600)))
