"""What LanguageBind's towers look at: frames and spectrograms as pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from emo.extract.transforms.kaldi import centred, fbank

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
MODES = {"video": "bilinear", "image": "bicubic"}


@dataclass(frozen=True)
class Sound:
    """How a spectrogram becomes a picture."""

    bands: int
    length: int
    """Rows of 10 ms that a picture shows."""
    sample_rate: int = 16000
    mean: float = -4.2677393
    std: float = 4.5689974


def frame_pixels(frame: np.ndarray, *, size: int, kinds: Sequence[str]) -> np.ndarray:
    """One frame for each tower that wants it: short side scaled, middle cut out, normalised.

    Not flipped: the original flips half of the clips at random, even when it does not train.

    Args:
        frame: (H, W, 3) uint8 RGB.
        size: pixels, height and width of the result.
        kinds: ``video`` (bilinear) and/or ``image`` (bicubic), both without antialiasing.

    Returns:
        float32 (kinds, 3, size, size).

    Source: pytorchvideo ShortSideScale, torchvision CenterCrop; order as in LanguageBind.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1) / 255.0
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return np.stack([_square(pixels[None], size, MODES[kind]) for kind in kinds])


def _square(pixels: torch.Tensor, size: int, mode: str) -> np.ndarray:
    height, width = pixels.shape[2:]
    ratio = height / width if width < height else width / height
    long = math.floor(ratio * size)
    shape = (long, size) if width < height else (size, long)
    scaled = F.interpolate(pixels, shape, mode=mode, align_corners=False)[0]
    top, left = (round((side - size) / 2) for side in shape)
    square: np.ndarray = scaled[:, top : top + size, left : left + size].numpy()
    return square


def audio_pixels(samples: np.ndarray, sound: Sound) -> np.ndarray:
    """(channels, S) at the sound's rate -> float32 (3, bands, length); channel 0 is heard."""
    rows = fbank(centred(samples)[0], sound.sample_rate, bands=sound.bands)
    return spectrogram_pixels(rows, crop_starts(len(rows), sound.length), sound)


def crop_starts(rows: int, length: int) -> list[int]:
    """First rows of three crops: the middle of each third of the possible ones.

    The original draws one at random from each third.
    """
    thirds = np.array_split(np.arange(rows - length + 1), 3)
    return [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]


def spectrogram_pixels(rows: np.ndarray, starts: Sequence[int], sound: Sound) -> np.ndarray:
    """(T, bands) log-mel -> float32 (3, bands, length): three crops; a short one is repeated."""
    if len(rows) <= sound.length:
        rows = np.tile(rows, (sound.length // len(rows) + 1, 1))
        starts = [0, 0, 0]
    crops = np.stack([rows[start : start + sound.length].T for start in starts])
    pixels: np.ndarray = (crops - np.float32(sound.mean)) / np.float32(sound.std * 2)
    return pixels
