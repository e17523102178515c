"""Find where speech begins and ends, with the network of silero-vad from its safetensors.

Source: silero-vad 6.2 (snakers4/silero-vad, MIT), whose wheel brings the weights. Neither its code
nor its TorchScript file is run; tests compare with both.
"""

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emo.errors import EmoError
from emo.extract.transforms.audio import resample_audio
from emo.machine.libraries import MissingLibraryError, missing_library

_SAMPLE_RATE = 16000
CHUNK, CONTEXT = 512, 64
"""Samples of which the network says one probability, and samples before them that it reads, too."""
ON, OFF = 0.5, 0.35
"""Probability at which speech begins, and below which it ends."""
LEAST_SPEECH, LEAST_SILENCE, MARGIN = 4000, 1600, 800
"""Samples: shorter speech is dropped, shorter silence is bridged, and so much is kept around."""
WEIGHTS = "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1"
"""SHA-256 of the weights, which is held, so that the recipe need not name them."""
_CHUNKS_AT_ONCE = 1000  # limits the memory that an hour of audio takes


def speech_bounds(samples: np.ndarray, sample_rate: int) -> tuple[int, int, float]:
    """Return the first sample to keep, the one after the last, and the share of speech between.

    Args:
        samples: float32 (S,), mono, S >= 1.
        sample_rate: Hz.

    Returns:
        The bounds with 50 ms around the speech; the whole sound and 0.0 where none is found.

    Raises:
        MissingLibraryError: silero-vad is not installed.
    """
    heard = resample_audio(samples, sample_rate, _SAMPLE_RATE)
    found = segments(probabilities(heard), len(heard))
    if not found:
        return 0, len(samples), 0.0
    share = sum(end - start for start, end in found) / len(heard)
    low, high = max(0, found[0][0] - MARGIN), min(len(heard), found[-1][1] + MARGIN)
    factor = sample_rate / _SAMPLE_RATE
    last = len(samples) if high == len(heard) else min(len(samples), round(high * factor))
    return min(round(low * factor), last - 1), last, share


def probabilities(samples: np.ndarray) -> np.ndarray:
    """Return the probability of speech in each chunk of 32 ms: float32 (S,) -> float32 (C,).

    The network has a state that runs through the sound; it starts anew with each call.
    """
    weights = load_weights()
    sound = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    sound = functional.pad(sound, (CONTEXT, -len(samples) % CHUNK))
    rows = sound.unfold(0, CONTEXT + CHUNK, CHUNK)  # (C, 576), a view
    found = []
    state = torch.zeros(1, 128), torch.zeros(1, 128)
    lstm = [weights[f"lstm_cell.{name}"] for name in ("weight_ih", "weight_hh")]
    lstm += [weights[f"lstm_cell.{name}"] for name in ("bias_ih", "bias_hh")]
    with torch.inference_mode():
        for block in torch.split(rows, _CHUNKS_AT_ONCE):
            for row in torch.split(_encoded(block, weights), 1):
                state = torch.lstm_cell(row, state, *lstm)
                found.append(state[0])
        hidden = torch.cat(found).relu()[:, :, None]  # (C, 128, 1)
        spoken = functional.conv1d(hidden, weights["final_conv.weight"], weights["final_conv.bias"])
        said: np.ndarray = spoken.sigmoid().flatten().numpy()
    return said


def _encoded(rows: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Return what the convolutions make of chunks: float32 (C, 576) -> (C, 128)."""
    padded = functional.pad(rows[:, None], (0, 64), mode="reflect")
    parts = functional.conv1d(padded, weights["stft_conv.weight"], stride=128)
    real, imaginary = parts.chunk(2, dim=1)
    found = (real.square() + imaginary.square()).sqrt()  # (C, 129, 4)
    for number, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
        kernel, bias = weights[f"conv{number}.weight"], weights[f"conv{number}.bias"]
        found = functional.conv1d(found, kernel, bias, stride=stride, padding=1).relu()
    return found[:, :, 0]


def segments(spoken: np.ndarray, length: int) -> list[tuple[int, int]]:
    """Return the first sample of each stretch of speech, and the one after its last.

    Args:
        spoken: float (C,), the probability of speech in each chunk.
        length: samples of the sound.
    """
    found: list[tuple[int, int]] = []
    start: int | None = None
    silent_since: int | None = None
    for moment, value in zip(range(0, len(spoken) * CHUNK, CHUNK), spoken, strict=True):
        if value >= ON:
            silent_since = None
            start = moment if start is None else start
        elif value < OFF and start is not None:
            silent_since = moment if silent_since is None else silent_since
            if moment - silent_since >= LEAST_SILENCE:
                found.append((start, silent_since))
                start = silent_since = None
    if start is not None:
        found.append((start, length))
    return [(low, high) for low, high in found if high - low > LEAST_SPEECH]


@lru_cache(maxsize=1)
def load_weights() -> dict[str, Tensor]:
    """Return the tensors of the network, from the installed package silero-vad, without its code.

    Raises:
        MissingLibraryError: the package is not installed.
        EmoError: the package holds other weights.
    """
    from safetensors.torch import load

    spec = find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        error = ModuleNotFoundError(name="silero_vad")
        raise MissingLibraryError(missing_library(error, "trim=speech"))
    path = Path(spec.submodule_search_locations[0], "data", "silero_vad_16k.safetensors")
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != WEIGHTS:
        raise EmoError(
            f"trim=speech: {path} is not the file of silero-vad 6.2.3, which would make other "
            "numbers: pip install silero-vad==6.2.3"
        )
    return load(content)
