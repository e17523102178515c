"""Which clips the synthetic data set has: speaker, label, and the class each modality shows."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLASSES = ("angry", "happy", "neutral", "sad")
SPEAKERS = ("s1", "s2", "s3", "s4", "s5", "s6")
MODALITIES = ("face", "audio", "text")
AGREEMENT = 0.75
"""Share of the clips in which a modality shows the label: no modality alone can score higher."""


@dataclass(frozen=True)
class PlannedClip:
    """One synthetic clip before it is rendered."""

    index: int
    """0-based, over the whole data set; with the data set's seed it seeds the clip's generator."""
    speaker: int
    """Index into ``SPEAKERS``."""
    label: int
    """Index into ``CLASSES``, as are the three below."""
    face: int
    """The class that the face shows."""
    audio: int
    text: int

    @property
    def id(self) -> str:
        """``synthetic-s3-017``; it does not tell the label."""
        return f"synthetic-{SPEAKERS[self.speaker]}-{self.index:03d}"

    def generator(self, seed: int) -> np.random.Generator:
        """The clip's own generator: its bytes do not depend on who renders it, or when."""
        return np.random.default_rng([seed, self.index])


def plan_clips(seed: int, clips_per_class_and_speaker: int) -> list[PlannedClip]:
    """All clips of the data set, speaker by speaker, in random order within a speaker.

    In each modality the shown class is the label with probability .75 and any other class with
    equal probability, independently of the other modalities. Which modalities agree is drawn
    without replacement within a label, from all eight cases in their right proportions: a small
    data set is then as hard as a large one, and not only on average.
    """
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(len(SPEAKERS)), len(CLASSES) * clips_per_class_and_speaker)
    classes = np.repeat(np.arange(len(CLASSES)), clips_per_class_and_speaker)
    labels = np.concatenate([rng.permutation(classes) for _ in SPEAKERS])
    shown = np.repeat(labels[:, None], len(MODALITIES), axis=1)  # (N, 3)
    for turn, label in enumerate(rng.permutation(len(CLASSES))):
        rows = rng.permutation(np.flatnonzero(labels == label))
        agrees = _agreements(len(rows), turn / len(CLASSES))
        others = [other for other in range(len(CLASSES)) if other != label]
        for modality in range(len(MODALITIES)):
            wrong = rng.permutation(rows[~agrees[:, modality]])
            shown[wrong, modality] = np.resize(rng.permutation(others), len(wrong))
    columns = zip(speakers, labels, *shown.T, strict=True)
    return [PlannedClip(index, *map(int, row)) for index, row in enumerate(columns)]


def shuffled_labels(clips: Sequence[PlannedClip], seed: int) -> list[int]:
    """The labels permuted within each speaker, so that nothing shown tells anything about them.

    The clips of each true label get all labels equally often (to within one clip), so that a
    small data set does not agree with its labels by luck.
    """
    rng = np.random.default_rng([seed, len(clips)])
    labels, shuffled = np.array([clip.label for clip in clips]), np.zeros(len(clips), dtype=int)
    speakers = np.array([clip.speaker for clip in clips])
    for speaker in range(len(SPEAKERS)):
        names = rng.permutation(len(CLASSES))
        for turn, label in enumerate(rng.permutation(len(CLASSES))):
            rows = rng.permutation(np.flatnonzero((speakers == speaker) & (labels == label)))
            shuffled[rows] = names[(np.arange(len(rows)) + turn) % len(CLASSES)]
    return [int(label) for label in shuffled]


def _agreements(clips: int, offset: float) -> np.ndarray:
    """(clips, 3) bool: the eight cases of three modalities that agree or not, in proportion.

    ``offset``, from 0 to 1, says which cases are rounded up.
    """
    cases = np.array(list(itertools.product((True, False), repeat=len(MODALITIES))))  # (8, 3)
    shares = np.where(cases, AGREEMENT, 1 - AGREEMENT).prod(axis=1)
    ends = np.floor(np.cumsum(shares) * clips + offset + 1e-9).astype(int)
    return np.repeat(cases, np.diff(ends, prepend=0), axis=0)
