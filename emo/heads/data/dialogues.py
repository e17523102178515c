"""Dialogues as an index: which row is which turn, and every pair of turns."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emo.manifest import Clip


def turns_of(clips: Sequence[Clip]) -> np.ndarray:
    """(G, U) int64: the row of turn u of dialogue g, -1 past its end.

    Turns are ordered by their ``turn``, else as the rows are; a clip without a dialogue is its own.
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
    """The same clips; turns of dialogues have numbers, which leaving one out does not change."""
    numbers = numbers_of(clips, turns_of(clips))
    return tuple(
        replace(clip, turn=int(number)) if clip.dialogue and clip.turn is None else clip
        for clip, number in zip(clips, numbers, strict=True)
    )


def pairs_of(turns: np.ndarray) -> np.ndarray:
    """(G, U) -> (P, 2): every (emotion turn, cause turn) within a dialogue, itself included."""
    found = [
        np.stack(np.meshgrid(rows, rows, indexing="ij"), axis=-1).reshape(-1, 2)
        for rows in (dialogue[dialogue >= 0] for dialogue in turns)
    ]
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)


def numbers_of(clips: Sequence[Clip], turns: np.ndarray) -> np.ndarray:
    """(N,) the number of each clip's turn: the manifest's, else its place in the dialogue."""
    numbers = np.zeros(len(clips), dtype=np.int64)
    for dialogue in turns:
        for index, row in enumerate(dialogue[dialogue >= 0]):
            turn = clips[row].turn
            numbers[row] = index if turn is None else turn
    return numbers
