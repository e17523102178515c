"""Workload M: ragged tokens of MELD's size, in a store and as one .npy a clip and stream.

Three streams of 768 numbers, float16: video of 4 to 64 tokens, audio of 10 to 200, text of 3 to
40; 9,989 / 1,109 / 2,610 clips in 1,039 / 114 / 280 dialogues, seven emotions as rare as MELD's.
One token in eight tells the emotion, and in a quarter of the clips it tells another one: a head
that finds those tokens gets a weighted F1 between .4 and .8.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emo.manifest import Manifest, read_manifest
from emo.ragged import Ragged, offsets_of
from emo.store import PartWriter, Recipe, Store, StreamSpec

DIM = 768
LENGTHS = {"video": (4, 64), "audio": (10, 200), "text": (3, 40)}
"""Tokens of a clip, from and to, evenly."""
CLIPS = {"train": 9989, "val": 1109, "test": 2610}
DIALOGUES = {"train": 1039, "val": 114, "test": 280}
EMOTIONS = {
    "neutral": 4710, "joy": 1743, "surprise": 1205, "anger": 1109, "sadness": 683,
    "disgust": 271, "fear": 268,
}  # fmt: skip
"""Of MELD's training split."""
RECIPE = "bench"
SHARE, STRENGTH, WRONG = 1 / 8, 3.0, 0.25
"""Tokens that tell the emotion; how far they stand out of noise of 1; clips that tell a lie."""
PART_CLIPS = 512
NOISE_TOKENS = 16_384
"""Drawn once; tokens are taken from them."""


@dataclass(frozen=True)
class Workload:
    """Where it lies, and how many clips each split has."""

    folder: Path
    clips: dict[str, int]

    @property
    def features(self) -> Path:
        return self.folder / "features"

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder / "manifest.csv")

    def npy(self, clip_id: str, stream: str) -> Path:
        return self.folder / "npy" / f"{clip_id}-{stream}.npy"


def make_workload(
    folder: Path,
    *,
    share: float = 1.0,
    is_pooled: bool = False,
    clips: dict[str, int] | None = None,
) -> Workload:
    """Write manifest and store.

    Args:
        folder: new.
        share: of M's clips.
        is_pooled: one token a clip and stream, the mean of those it would have.
        clips: of each split, instead of a share of M's.
    """
    counts = clips or {split: round(count * share) for split, count in CLIPS.items()}
    random = np.random.default_rng(0)
    table = _table(counts, random)
    folder.mkdir(parents=True, exist_ok=True)
    table.drop(columns="told").to_csv(folder / "manifest.csv", index=False)
    recipe = Recipe(RECIPE, {name: StreamSpec(DIM) for name in LENGTHS})
    store = Store.create(folder / "features").add_recipe(RECIPE, recipe)
    maker = _Maker(random)
    for start in range(0, len(table), PART_CLIPS):
        rows = table.iloc[start : start + PART_CLIPS]
        tokens = {name: maker.tokens(name, rows["told"].to_numpy()) for name in LENGTHS}
        with PartWriter(store.path, recipe) as part:
            for place, clip_id in enumerate(rows["id"]):
                streams = {name: found[place] for name, found in tokens.items()}
                if is_pooled:
                    streams = {name: _mean(found) for name, found in streams.items()}
                part.add(clip_id, streams, source="0" * 16)
    return Workload(folder, counts)


def write_npy(workload: Workload, *, split: str) -> None:
    """The tokens of a split, as stored, one file a clip and stream."""
    (workload.folder / "npy").mkdir()
    folder = Store(workload.features).recipes[RECIPE]
    ids = [clip.id for clip in workload.manifest.clips if clip.split == split]
    for name in LENGTHS:
        for start in range(0, len(ids), PART_CLIPS):
            some = ids[start : start + PART_CLIPS]
            for clip_id, tokens in zip(some, folder.read(name, some), strict=True):
                np.save(workload.npy(clip_id, name), tokens)


def _table(counts: dict[str, int], random: np.random.Generator) -> pd.DataFrame:
    """One row a clip: manifest columns, and ``told``, the class that its tokens tell."""
    names, weights = list(EMOTIONS), np.array(list(EMOTIONS.values()))
    parts = []
    for split, count in counts.items():
        dialogues = max(2, round(DIALOGUES[split] * count / CLIPS[split]))
        first = np.sort(random.choice(np.arange(1, count), dialogues - 1, replace=False))
        starts = np.concatenate([[0], first])
        dialogue = np.searchsorted(starts, np.arange(count), side="right") - 1
        classes = random.choice(len(names), count, p=weights / weights.sum())
        classes[: len(names)] = np.arange(len(names))  # every split has every class
        is_cause = np.append((classes[1:] > 0) & (dialogue[1:] == dialogue[:-1]), False)
        is_wrong = random.random(count) < WRONG
        parts.append(pd.DataFrame({
            "id": [f"{split}-{clip:05d}" for clip in range(count)],
            "text": "-", "split": split,
            "dialogue": [f"{split}-{number}" for number in dialogue],
            "turn": np.arange(count) - starts[dialogue],
            "emotion": [names[number] for number in classes],
            "cause": np.where(is_cause, "yes", "no"),
            "told": np.where(is_wrong, random.integers(len(names), size=count), classes),
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


class _Maker:
    """Draws tokens of clips that tell classes."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.noise = random.standard_normal((NOISE_TOKENS, DIM), np.float32).astype(np.float16)
        shape = (len(LENGTHS), len(EMOTIONS), DIM)
        told = random.standard_normal(shape, np.float32)
        told *= STRENGTH / np.linalg.norm(told, axis=-1, keepdims=True)
        self.told = dict(zip(LENGTHS, told.astype(np.float16), strict=True))

    def tokens(self, stream: str, classes: np.ndarray) -> Ragged:
        """Ragged (ΣT, DIM) float16 of clips that tell these classes."""
        low, high = LENGTHS[stream]
        lengths = self.random.integers(low, high + 1, size=len(classes))
        offsets = offsets_of(lengths)
        values = self.noise[self.random.integers(NOISE_TOKENS, size=offsets[-1])]
        telling = np.concatenate(list(self._telling(offsets)))
        clip = np.repeat(np.arange(len(classes)), lengths)[telling]
        values[telling] += self.told[stream][classes[clip]]
        return Ragged(values, offsets)

    def _telling(self, offsets: np.ndarray) -> Iterator[np.ndarray]:
        """Of each clip at least one token."""
        for start, end in itertools.pairwise(offsets):
            count = max(1, round(SHARE * (end - start)))
            yield start + self.random.choice(end - start, count, replace=False)


def _mean(tokens: np.ndarray) -> np.ndarray:
    found: np.ndarray = tokens.astype(np.float32).mean(0, keepdims=True)
    return found
