import importlib.util

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


needs_silero = pytest.mark.skipif(
    importlib.util.find_spec("silero_vad") is None,
    reason="silero-vad is not installed: pip install 'emo-pipeline[vad]'",
)


@needs_silero
@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_the_network_is_silero_vads_own(monkeypatch):
    """Held to its TorchScript file, with the weights of that: the safetensors hold others."""
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    speech.load_weights.cache_clear()
    assert {name: tuple(each.shape) for name, each in speech.load_weights().items()} == SHAPES
    model = load_silero_vad()
    theirs = {name.removeprefix("_model."): each for name, each in model.state_dict().items()}
    weights = {ours: theirs[name] for ours, name in NAMES.items()}
    monkeypatch.setattr(speech, "load_weights", lambda: weights)
    sound = speechlike(4.3)
    with torch.inference_mode():
        padded = torch.nn.functional.pad(torch.from_numpy(sound), (0, -len(sound) % 512))
        expected = [model(chunk[None], 16000).item() for chunk in padded.split(512)]
    found = speech.probabilities(sound)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.max() > 0.5, "the sound is not like speech"
    monkeypatch.setattr(speech, "_CHUNKS_AT_ONCE", 7)
    np.testing.assert_allclose(speech.probabilities(sound), found, atol=1e-5)
    own = get_speech_timestamps(torch.from_numpy(sound), model, speech_pad_ms=50)
    low, high, _ = speech.speech_bounds(sound, 16000)
    assert (low, high) == (own[0]["start"], own[-1]["end"])


NAMES = {
    "stft_conv.weight": "stft.forward_basis_buffer",
    "final_conv.weight": "decoder.decoder.2.weight", "final_conv.bias": "decoder.decoder.2.bias",
    **{f"conv{k + 1}.{part}": f"encoder.{k}.reparam_conv.{part}"
       for k in range(4) for part in ("weight", "bias")},
    **{f"lstm_cell.{part}": f"decoder.rnn.{part}"
       for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
}  # fmt: skip
SHAPES = {
    "stft_conv.weight": (258, 1, 256), "final_conv.weight": (1, 128, 1), "final_conv.bias": (1,),
    "conv1.weight": (128, 129, 3), "conv2.weight": (64, 128, 3), "conv3.weight": (64, 64, 3),
    "conv4.weight": (128, 64, 3), "conv1.bias": (128,), "conv2.bias": (64,), "conv3.bias": (64,),
    "conv4.bias": (128,), "lstm_cell.weight_ih": (512, 128), "lstm_cell.weight_hh": (512, 128),
    "lstm_cell.bias_ih": (512,), "lstm_cell.bias_hh": (512,),
}  # fmt: skip


def speechlike(seconds):
    """Vowels of a voice that rises and falls, between silent ends."""
    moments = np.arange(round(seconds * 16000)) / 16000
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * moments)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    sound = np.zeros(len(moments))
    for number in range(1, 30):
        shape = sum(
            np.exp(-(((number * pitch - centre) / width) ** 2))
            for centre, width in ((600 + 200 * np.sin(7 * moments), 120),
                                  (1400 + 500 * np.sin(5 * moments), 200), (2600, 250))
        )  # fmt: skip
        sound += shape * np.sin(number * phase)
    loud = (np.sin(2 * np.pi * 2.2 * moments) > -0.5) * (moments > 1) * (moments < seconds - 1)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(moments))
    return (0.15 * loud * sound + noise).astype(np.float32)
