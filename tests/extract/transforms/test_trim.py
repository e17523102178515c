import numpy as np
import pytest

from emo.extract.transforms.trim import energy_bounds, trimmed


def sound(seed):
    """Noise between two much softer ends, of random lengths."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9000, 3)
    levels = random.choice([0.0, 1e-4, 5e-3, 0.03, 0.1, 1.0], 3)
    parts = [level * random.normal(size=n) for n, level in zip(lengths, levels, strict=True)]
    return np.concatenate(parts).astype(np.float32)


def test_long_sounds_are_read_in_blocks(monkeypatch):
    whole = energy_bounds(np.pad(sound(3), 20000))
    monkeypatch.setattr("emo.extract.transforms.trim._ROWS_AT_ONCE", 7)
    assert energy_bounds(np.pad(sound(3), 20000)) == whole


@pytest.mark.parametrize("length", [1, 800, 1600, 16000])
def test_digital_silence_stays_whole(length):
    silence = np.zeros(length, np.float32)
    assert energy_bounds(silence) == (0, length)


def test_pauses_stay_and_the_seconds_kept_are_noted():
    loud, pause = np.ones(16000, np.float32), np.zeros(16000, np.float32)
    clip = np.concatenate([pause, loud, pause, loud, pause])
    kept, notes = trimmed(clip, 16000, "energy")
    assert notes == {"seconds_kept": len(kept) / 16000}
    assert 3.0 <= notes["seconds_kept"] < 3.2
    whole, notes = trimmed(clip, 16000, "none")
    assert whole is clip
    assert notes == {}
