import numpy as np
import pytest

from emo.extract.backbones.logmel import LogMel, LogMelOptions
from emo.extract.transforms import speech
from emo.extract.transforms.trim import trimmed
from emo.machine.libraries import MissingLibraryError


def test_segments_begin_at_half_and_end_below_035_for_a_tenth_of_a_second():
    spoken = np.full(80, 0.1)
    spoken[10:20] = 0.6
    spoken[20:25] = 0.4  # neither begins nor ends speech
    spoken[25] = spoken[27] = 0.2  # shorter than 100 ms
    spoken[26], spoken[28:30] = 0.5, 0.9
    spoken[45:48] = 0.9  # shorter than 250 ms
    assert speech.segments(spoken, 80 * 512) == [(10 * 512, 30 * 512)]
    spoken[60:] = 0.9  # up to the end
    assert speech.segments(spoken, 79 * 512 + 7)[1:] == [(60 * 512, 79 * 512 + 7)]
    assert speech.segments(np.full(9, 0.45), 9 * 512) == []


def test_without_silero_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    speech.load_weights.cache_clear()
    with pytest.raises(MissingLibraryError, match=r"pip install 'emo-pipeline\[vad\]'"):
        LogMel.recipe(LogMelOptions(trim="speech"))


def test_bounds_have_50_ms_around_and_follow_the_rate(monkeypatch):
    spoken = np.full(100, 0.0)
    spoken[30:60] = 0.9
    monkeypatch.setattr(speech, "probabilities", lambda samples: spoken[: -(-len(samples) // 512)])
    sound = np.zeros(2 * 100 * 512, np.float32)
    kept, notes = trimmed(sound, 32000, "speech")
    assert len(kept) == 2 * (30 * 512 + 1600)
    assert notes == {"seconds_kept": len(kept) / 32000, "speech_share": 0.3}


def test_where_no_speech_is_found_the_clip_stays_whole(monkeypatch):
    monkeypatch.setattr(speech, "probabilities", lambda samples: np.zeros(32))
    sound = np.zeros(16000, np.float32)
    kept, notes = trimmed(sound, 16000, "speech")
    assert len(kept) == len(sound)
    assert notes == {"seconds_kept": 1.0, "speech_share": 0.0}
