"""Cut the clips of a manifest into chunks that are predicted one after the other.

The last bits of a prediction depend on the clips of one forward pass. Chunks depend on the
manifest alone, not on which clips have features, so that a clip whose features come later changes
the predictions of its own chunk at most; and one table and a folder of parts hold the same numbers.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from emo.heads.data.dialogues import turns_of
from emo.heads.training.inference import EVALUATED_CLIPS, EVALUATED_DIALOGUES
from emo.manifest import Clip

CHUNK_CLIPS = 16 * EVALUATED_CLIPS
"""Clips of a chunk, 4,096; in runs of dialogues, whole dialogues of at least so many clips."""


def chunk_numbers(unit: Literal["clip", "dialogue"], clips: Sequence[Clip]) -> np.ndarray:
    """Return the number of the chunk of each of N clips, int64 (N,).

    Args:
        unit: what the head needs together; dialogues stay whole, in the order of their first turn.
        clips: all clips of the manifest.
    """
    if unit == "clip":
        return np.arange(len(clips)) // CHUNK_CLIPS
    numbers = np.zeros(len(clips), np.int64)
    number = count = 0
    for dialogue, turns in enumerate(turns_of(clips)):
        if count >= CHUNK_CLIPS and dialogue % EVALUATED_DIALOGUES == 0:
            number, count = number + 1, 0
        rows = turns[turns >= 0]
        numbers[rows] = number
        count += len(rows)
    return numbers


def passes(unit: Literal["clip", "dialogue"], clips: Sequence[Clip]) -> list[np.ndarray]:
    """Return the rows of each forward pass over the clips of a chunk, int64 (n,) each, ascending.

    Args:
        unit: what the head needs together.
        clips: the clips of a chunk that have tokens.
    """
    if unit == "clip":
        rows = np.arange(len(clips))
        return [rows[k : k + EVALUATED_CLIPS] for k in range(0, len(rows), EVALUATED_CLIPS)]
    turns = turns_of(clips)
    groups = [turns[k : k + EVALUATED_DIALOGUES] for k in range(0, len(turns), EVALUATED_DIALOGUES)]
    return [np.sort(group[group >= 0]) for group in groups]
