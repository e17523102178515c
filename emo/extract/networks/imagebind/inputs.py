"""The spectrograms that ImageBind's audio tower reads: pieces of 2 s, spread over a clip.

Source: Girdhar et al. 2023 (arXiv:2305.05665); pytorchvideo 0.1.5, ``ConstantClipsPerVideoSampler``
for the places of the pieces.
"""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from emo.extract.transforms.kaldi import centred, fbank

SAMPLE_RATE = 16000
AUDIO_PIECES = 8
_PIECE_SECONDS = 2
_LENGTH = _PIECE_SECONDS * SAMPLE_RATE
_BANDS, _ROWS = 128, 204
_MEAN, _STD = -4.268, 9.138  # of AudioSet


def spectrograms(samples: np.ndarray, pieces: int = AUDIO_PIECES) -> Tensor:
    """Normalised spectrograms of pieces of 2 s; a clip that is shorter gives the same for each.

    Args:
        samples: (channels, S) at 16 kHz; only the first channel is heard, after the mean of all
            channels of the piece was taken away.
        pieces: how many.

    Returns:
        float32 (pieces, 1, 128, 204), mel bands and 10 ms rows.
    """
    firsts = piece_starts(samples.shape[1], pieces)
    made = {first: imagebind_log_mel(samples[:, first : first + _LENGTH]) for first in set(firsts)}
    return (torch.stack([made[first] for first in firsts]) - _MEAN) / _STD


def piece_starts(length: int, pieces: int) -> list[int]:
    """First sample of each piece of a clip of ``length`` samples: the k-th at k / pieces of what
    is left beside one piece.
    """
    # exact fractions of a rounded float, as the original: one sample less changes the numbers
    spare = Fraction(max(0.0, length / SAMPLE_RATE - _PIECE_SECONDS))
    return [int(spare / pieces * index * SAMPLE_RATE) for index in range(pieces)]


def imagebind_log_mel(piece: np.ndarray) -> Tensor:
    """(channels, S) up to 2 s -> (1, 128, 204), not normalised; zeros where the samples end."""
    rows = torch.from_numpy(fbank(centred(piece)[0], SAMPLE_RATE, bands=_BANDS))[:_ROWS]
    return F.pad(rows, (0, 0, 0, _ROWS - len(rows))).T[None]
