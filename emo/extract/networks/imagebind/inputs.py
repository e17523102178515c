"""Spectrograms for ImageBind's audio tower: pieces of 2 s, spread over a clip.

Source: Girdhar et al. 2023 (arXiv:2305.05665); the pieces start where pytorchvideo 0.1.5's
``ConstantClipsPerVideoSampler`` starts them.
"""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from emo.extract.transforms.kaldi import centred, fbank

IMAGEBIND_RATE = 16000
"""Samples per second of the sound that ImageBind reads."""
AUDIO_PIECES = 8
"""Pieces of a clip or window."""
_PIECE_SECONDS = 2
_LENGTH = _PIECE_SECONDS * IMAGEBIND_RATE
_BANDS, _ROWS = 128, 204
_MEAN, _STD = -4.268, 9.138  # over AudioSet


def spectrograms(samples: np.ndarray, pieces: int = AUDIO_PIECES) -> Tensor:
    """Compute normalised spectrograms of pieces of 2 s; those of a shorter clip are all equal.

    Args:
        samples: float32 (channels, S) at 16 kHz. Only the first channel is used, after the mean
            over all channels of the piece was subtracted.
        pieces: number of pieces.

    Returns:
        float32 (pieces, 1, 128, 204): mel bands, and steps of 10 ms.
    """
    firsts = piece_starts(samples.shape[1], pieces)
    made = {first: imagebind_log_mel(samples[:, first : first + _LENGTH]) for first in set(firsts)}
    return (torch.stack([made[first] for first in firsts]) - _MEAN) / _STD


def piece_starts(length: int, pieces: int) -> list[int]:
    """Return the first sample of each piece of a clip of ``length`` samples.

    Piece k starts at ``k / pieces`` of the clip's length minus one piece.
    """
    # exact fractions of a rounded float, like the original: one sample less changes the numbers
    spare = Fraction(max(0.0, length / IMAGEBIND_RATE - _PIECE_SECONDS))
    return [int(spare / pieces * index * IMAGEBIND_RATE) for index in range(pieces)]


def imagebind_log_mel(piece: np.ndarray) -> Tensor:
    """Compute the log-mel bands of one piece, not normalised.

    Args:
        piece: float32 (channels, S), at most 2 s at 16 kHz.

    Returns:
        float32 (1, 128, 204), zeros after the end of the piece.
    """
    rows = torch.from_numpy(fbank(centred(piece)[0], IMAGEBIND_RATE, bands=_BANDS))[:_ROWS]
    return F.pad(rows, (0, 0, 0, _ROWS - len(rows))).T[None]
