"""Make the inputs of LanguageBind's towers: frames and spectrograms as pictures."""

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
    """How audio is turned into a picture for the audio tower."""

    bands: int
    """Mel bands, the height of a picture."""
    length: int
    """Steps of 10 ms, the width of a picture."""
    sample_rate: int = 16000
    """Sample rate in Hz."""
    mean: float = -4.2677393
    """Mean that is subtracted from the log-mel values."""
    std: float = 4.5689974
    """Standard deviation of the log-mel values; they are divided by twice this."""


def frame_pixels(frame: np.ndarray, *, size: int, kinds: Sequence[str]) -> np.ndarray:
    """Turn one frame into a normalised square picture for each tower.

    The short side is scaled and the centre cropped. The frame is not flipped. (The original flips
    half of the clips at random, even at inference.)

    Args:
        frame: uint8 (H, W, 3) RGB.
        size: height and width of the result in pixels.
        kinds: ``video`` (bilinear), ``image`` (bicubic) or both; without antialiasing.

    Returns:
        float32 (kinds, 3, size, size).

    Source: pytorchvideo ShortSideScale, torchvision CenterCrop, in LanguageBind's order.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1) / 255.0
    pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return np.stack([_square(pixels[None], size, MODES[kind]) for kind in kinds])


def _square(pixels: torch.Tensor, size: int, mode: str) -> np.ndarray:
    """Scale the short side of (1, 3, H, W) to ``size`` and crop the centre: (3, size, size)."""
    height, width = pixels.shape[2:]
    ratio = height / width if width < height else width / height
    long = math.floor(ratio * size)
    shape = (long, size) if width < height else (size, long)
    scaled = F.interpolate(pixels, shape, mode=mode, align_corners=False)[0]
    top, left = (round((side - size) / 2) for side in shape)
    square: np.ndarray = scaled[:, top : top + size, left : left + size].numpy()
    return square


def audio_pixels(samples: np.ndarray, sound: Sound) -> np.ndarray:
    """Turn audio into a picture of three crops of its spectrogram; only channel 0 is used.

    Args:
        samples: float32 (channels, S) at ``sound.sample_rate``.
        sound: sizes and normalisation.

    Returns:
        float32 (3, bands, length).
    """
    rows = fbank(centred(samples)[0], sound.sample_rate, bands=sound.bands)
    return spectrogram_pixels(rows, crop_starts(len(rows), sound.length), sound)


def crop_starts(rows: int, length: int) -> list[int]:
    """Return the first rows of three crops: the middle of each third of the possible positions.

    The original draws one at random from each third.

    Args:
        rows: rows of the spectrogram.
        length: rows of a crop.
    """
    thirds = np.array_split(np.arange(rows - length + 1), 3)
    return [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]


def spectrogram_pixels(rows: np.ndarray, starts: Sequence[int], sound: Sound) -> np.ndarray:
    """Crop a spectrogram three times and normalise it; a short one is repeated to full length.

    Args:
        rows: float32 (T, bands), log-mel.
        starts: first row of each crop.
        sound: sizes and normalisation.

    Returns:
        float32 (3, bands, length).
    """
    if len(rows) <= sound.length:
        rows = np.tile(rows, (sound.length // len(rows) + 1, 1))
        starts = [0, 0, 0]
    crops = np.stack([rows[start : start + sound.length].T for start in starts])
    pixels: np.ndarray = (crops - np.float32(sound.mean)) / np.float32(sound.std * 2)
    return pixels
