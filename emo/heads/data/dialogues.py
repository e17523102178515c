"""Dialogues as arrays of rows: the turns of each dialogue, and all pairs of turns."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emo.manifest import Clip


def turns_of(clips: Sequence[Clip]) -> np.ndarray:
    """Return the rows of each dialogue's turns.

    Turns are ordered by their ``turn``, or as the clips are where they have none. A clip without a
    dialogue is a dialogue of its own.

    Returns:
        int64 (G, U): the row of turn u of dialogue g, -1 past the dialogue's end.
    """
    dialogues: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, clip in enumerate(clips):
        key = ("dialogue", clip.dialogue) if clip.dialogue else ("clip", clip.id)
        dialogues.setdefault(key, []).append((row if clip.turn is None else clip.turn, row))
    longest = max(map(len, dialogues.values()), default=0)
    turns = np.full((len(dialogues), longest), -1, dtype=np.int64)
    for number, found in enumerate(dialogues.values()):
        turns[number, : len(found)] = [row for _, row in sorted(found)]
    return turns


def with_turns(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Return the clips, with a ``turn`` for each clip of a dialogue that had none.

    The numbers stay right when some clips are left out afterwards.
    """
    numbers = turn_numbers(clips, turns_of(clips))
    return tuple(
        replace(clip, turn=int(number)) if clip.dialogue and clip.turn is None else clip
        for clip, number in zip(clips, numbers, strict=True)
    )


def pairs_of(turns: np.ndarray) -> np.ndarray:
    """Return all pairs of turns within each dialogue, a turn with itself included.

    Args:
        turns: int64 (G, U) rows of the turns, -1 past a dialogue's end.

    Returns:
        int64 (P, 2): rows of (emotion turn, cause turn).
    """
    found = [
        np.stack(np.meshgrid(rows, rows, indexing="ij"), axis=-1).reshape(-1, 2)
        for rows in (dialogue[dialogue >= 0] for dialogue in turns)
    ]
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)


def turn_numbers(clips: Sequence[Clip], turns: np.ndarray) -> np.ndarray:
    """Return the turn number of each clip, int64 (N,).

    It is the manifest's ``turn``, or the clip's index in its dialogue where that is empty.

    Args:
        clips: N clips.
        turns: int64 (G, U) rows of the turns, see :func:`turns_of`.
    """
    numbers = np.zeros(len(clips), dtype=np.int64)
    for dialogue in turns:
        for index, row in enumerate(dialogue[dialogue >= 0]):
            turn = clips[row].turn
            numbers[row] = index if turn is None else turn
    return numbers
