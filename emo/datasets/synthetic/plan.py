"""Plan the clips of the synthetic data set: speaker, label, and the class of each modality."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CLASSES = ("angry", "happy", "neutral", "sad")
SPEAKERS = ("s1", "s2", "s3", "s4", "s5", "s6")
MODALITIES = ("face", "audio", "text")
AGREEMENT = 0.75
"""Share of clips in which a modality shows the label: the best accuracy of a single modality."""


@dataclass(frozen=True)
class PlannedClip:
    """One synthetic clip before it is rendered."""

    index: int
    """0-based number in the data set; with the data set's seed it seeds the clip's generator."""
    speaker: int
    """Index of the speaker in ``SPEAKERS``."""
    label: int
    """Index of the label in ``CLASSES``."""
    face: int
    """Index in ``CLASSES`` of the class that the face shows."""
    audio: int
    """Index in ``CLASSES`` of the class that the voice shows."""
    text: int
    """Index in ``CLASSES`` of the class that the sentence shows."""

    @property
    def id(self) -> str:
        """Id of the clip, such as ``synthetic-s3-017``; the label cannot be seen from it."""
        return f"synthetic-{SPEAKERS[self.speaker]}-{self.index:03d}"

    def generator(self, seed: int) -> np.random.Generator:
        """Return a random generator for this clip alone, so that the clip does not depend on
        others."""
        return np.random.default_rng([seed, self.index])


def plan_clips(seed: int, clips_per_class_and_speaker: int) -> list[PlannedClip]:
    """Return all clips of the data set, speaker by speaker, in random order within a speaker.

    In each modality the shown class is the label with probability 0.75, and any other class with
    equal probability, independently of the other modalities. Which modalities show the label is
    drawn without replacement within a label, from all eight cases in their proportions, so that
    every small data set is as hard as a large one.

    Args:
        seed: seed of all random choices.
        clips_per_class_and_speaker: number of clips.
    """
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(len(SPEAKERS)), len(CLASSES) * clips_per_class_and_speaker)
    classes = np.repeat(np.arange(len(CLASSES)), clips_per_class_and_speaker)
    labels = np.concatenate([rng.permutation(classes) for _ in SPEAKERS])
    shown = np.repeat(labels[:, None], len(MODALITIES), axis=1)  # (N, 3)
    for step, label in enumerate(rng.permutation(len(CLASSES))):
        rows = rng.permutation(np.flatnonzero(labels == label))
        agrees = _agreements(len(rows), step / len(CLASSES))
        others = [other for other in range(len(CLASSES)) if other != label]
        for modality in range(len(MODALITIES)):
            wrong = rng.permutation(rows[~agrees[:, modality]])
            shown[wrong, modality] = np.resize(rng.permutation(others), len(wrong))
    columns = zip(speakers, labels, *shown.T, strict=True)
    return [PlannedClip(index, *map(int, row)) for index, row in enumerate(columns)]


def shuffled_labels(clips: Sequence[PlannedClip], seed: int) -> list[int]:
    """Return the labels permuted within each speaker, so that clips and labels are unrelated.

    The clips of each true label get all labels equally often (up to one clip), so that a small
    data set does not agree with its labels by chance.
    """
    rng = np.random.default_rng([seed, len(clips)])
    labels, shuffled = np.array([clip.label for clip in clips]), np.zeros(len(clips), dtype=int)
    speakers = np.array([clip.speaker for clip in clips])
    for speaker in range(len(SPEAKERS)):
        names = rng.permutation(len(CLASSES))
        for step, label in enumerate(rng.permutation(len(CLASSES))):
            rows = rng.permutation(np.flatnonzero((speakers == speaker) & (labels == label)))
            shuffled[rows] = names[(np.arange(len(rows)) + step) % len(CLASSES)]
    return [int(label) for label in shuffled]


def _agreements(clips: int, offset: float) -> np.ndarray:
    """Return bool (clips, 3): whether each modality shows the label.

    The eight cases of three modalities occur in proportion to their probabilities.

    Args:
        clips: number of clips.
        offset: 0 to 1, decides which cases are rounded up.
    """
    cases = np.array(list(itertools.product((True, False), repeat=len(MODALITIES))))  # (8, 3)
    shares = np.where(cases, AGREEMENT, 1 - AGREEMENT).prod(axis=1)
    ends = np.floor(np.cumsum(shares) * clips + offset + 1e-9).astype(int)
    return np.repeat(cases, np.diff(ends, prepend=0), axis=0)
