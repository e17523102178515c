"""`trim=speech` and `trim=energy` on real speech, against silero-vad and librosa themselves."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from emo.extract.transforms import speech as ours
from emo.extract.transforms.trim import energy_bounds, trimmed
from tests.packaged.conftest import package

pytestmark = pytest.mark.models


@pytest.fixture(autouse=True)
def _own_weights():
    package("silero_vad")
    ours.load_weights.cache_clear()
    yield
    ours.load_weights.cache_clear()


class SilerosOwn(nn.Module):
    """The network of silero-vad's ``tinygrad_model.py`` in layers of torch, chunk by chunk.

    That file is silero's own reader of the safetensors; its library, tinygrad, is not needed here.
    """

    def __init__(self, weights):
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)
        self.load_state_dict(weights, strict=True)
        self.reset_states()

    def reset_states(self):
        self.state, self.context = None, torch.zeros(1, 64)

    @torch.inference_mode()
    def forward(self, chunk, sample_rate):
        x = torch.cat([self.context, chunk.reshape(1, 512)], dim=1)
        self.context = x[:, -64:]
        x = self.stft_conv(nn.functional.pad(x, (0, 64), mode="reflect")[:, None])
        x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        self.state = self.lstm_cell(x[:, :, 0], self.state)
        return self.final_conv(self.state[0][:, :, None].relu()).sigmoid().mean(dim=(1, 2))


def distances(model, speech):
    """Return for each clip by how many ms our bounds differ from silero's own."""
    from silero_vad import get_speech_timestamps

    found = []
    for samples in speech.values():
        own = get_speech_timestamps(torch.from_numpy(samples), model, speech_pad_ms=50)
        expected = (own[0]["start"], own[-1]["end"]) if own else (0, len(samples))
        bounds = ours.speech_bounds(samples, 16000)[:2]
        found.append(max(abs(a - b) for a, b in zip(bounds, expected, strict=True)) / 16)
    return np.array(found)


@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_bounds_are_those_of_get_speech_timestamps(speech, say):
    off = distances(SilerosOwn(ours.load_weights()), speech)
    say(f"{len(off)} clips, largest error {off.max():.1f} ms of 50 ms")
    assert off.max() <= 50


@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_bounds_of_the_torchscript_file_differ_on_some_clips(speech, say):
    """The wheel's TorchScript and ONNX files hold newer weights than its safetensors."""
    from silero_vad import load_silero_vad

    off = distances(load_silero_vad(), speech)
    say(f"{len(off)} clips, {(off > 50).sum()} over 50 ms, largest {off.max():.0f} ms")
    assert (off <= 50).mean() >= 0.9


def test_energy_is_librosas_to_the_sample(speech, say):
    librosa = pytest.importorskip("librosa")
    odd = {"silence": np.zeros(16000, np.float32)}
    for seconds in (0.05, 0.1):
        odd |= {f"{name} {seconds}": each[8000 : 8000 + round(seconds * 16000)]
                for name, each in list(speech.items())[::30]}  # fmt: skip
    for name, samples in (speech | odd).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # n_fft is larger than a clip of 0.05 s
            _, bounds = librosa.effects.trim(samples, top_db=30)
        assert energy_bounds(samples) == tuple(bounds), name
    say(f"{len(speech)} clips and {len(odd)} short or silent ones: 0 samples off")


@pytest.mark.parametrize("seconds", [0.05, 0.1, 1.0])
def test_silence_and_short_clips_stay_whole(seconds, speech):
    length = round(seconds * 16000)
    for samples in (np.zeros(length, np.float32), next(iter(speech.values()))[:length]):
        kept, notes = trimmed(samples, 16000, "speech")
        if seconds < 1:
            assert notes == {"seconds_kept": seconds, "speech_share": 0.0}
        assert 0 < len(kept) <= length
    kept, notes = trimmed(np.zeros(length, np.float32), 16000, "speech")
    assert (len(kept), notes["speech_share"]) == (length, 0.0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_the_network_is_silero_vads_own(monkeypatch):
    """Held to its TorchScript file, with the weights of that: the safetensors hold others."""
    from silero_vad import get_speech_timestamps, load_silero_vad

    assert {name: tuple(each.shape) for name, each in ours.load_weights().items()} == SHAPES
    model = load_silero_vad()
    theirs = {name.removeprefix("_model."): each for name, each in model.state_dict().items()}
    weights = {own: theirs[name] for own, name in NAMES.items()}
    monkeypatch.setattr(ours, "load_weights", lambda: weights)
    sound = speechlike(4.3)
    with torch.inference_mode():
        padded = torch.nn.functional.pad(torch.from_numpy(sound), (0, -len(sound) % 512))
        expected = [model(chunk[None], 16000).item() for chunk in padded.split(512)]
    found = ours.probabilities(sound)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.max() > 0.5, "the sound is not like speech"
    monkeypatch.setattr(ours, "_CHUNKS_AT_ONCE", 7)
    np.testing.assert_allclose(ours.probabilities(sound), found, atol=1e-5)
    own = get_speech_timestamps(torch.from_numpy(sound), model, speech_pad_ms=50)
    low, high, _ = ours.speech_bounds(sound, 16000)
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
