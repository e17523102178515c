"""From stores and a manifest to batches in RAM: labels, splits, scaled tokens."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from emo import plugins
from emo.errors import FitError
from emo.heads.head import Batch
from emo.heads.scale import Scaling, fit_scaling
from emo.heads.scores import ScoreOnce
from emo.heads.splits import assign_splits
from emo.heads.streams import Source, open_sources
from emo.manifest import Clip, Manifest
from emo.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Split:
    """The clips of one split."""

    ids: tuple[str, ...]
    batch: Batch
    """Scaled tokens; targets for ``train`` and ``val`` only: the loop never sees test labels."""
    answers: ScoreOnce
    """Its labels, for the scores at the end."""


@dataclass(frozen=True, eq=False)
class Data:
    """Everything that a fit needs."""

    target: str
    classes: tuple[str, ...]
    """Sorted label names of the training split; the order of logits and probabilities."""
    sources: tuple[Source, ...]
    scalings: dict[str, Scaling]
    splits: dict[str, Split]
    """In the order train, val, test; ``test`` is there only if the manifest has one."""
    notes: tuple[str, ...]
    """What a reader of the scores must know: clips left out, splits that were cut."""

    @property
    def dims(self) -> dict[str, int]:
        """D of each stream."""
        return {source.name: source.spec.dim for source in self.sources}


def read_data(
    manifest: Manifest,
    features: Sequence[Path],
    *,
    target: str,
    streams: Sequence[str] = (),
    allow_missing: float = 0.05,
    seed: int = 0,
) -> Data:
    """Read labels and tokens, drop what cannot be used and say so, cut splits, scale.

    Args:
        manifest: the clips.
        features: stores.
        target: the manifest's column to predict.
        streams: ``recipe`` or ``recipe/stream``; none: everything in the stores.
        allow_missing: share in [0, 1] of the labelled clips that may have no features at all.
        seed: of the splits that have to be cut.

    Raises:
        FitError: an unknown target or stream, too many clips without features, or splits from
            which nothing can be learnt.
    """
    sources, notes = open_sources(features, streams)
    clips, label_notes = _labelled(manifest, target)
    tokens = {source.name: source.read([clip.id for clip in clips]) for source in sources}
    clips, tokens, missing_notes = _present(clips, tokens, allow_missing)
    labels = [clip.targets[target] for clip in clips]
    splits = assign_splits(clips, labels, seed=seed)
    train = splits.rows["train"]
    classes = tuple(sorted({labels[row] for row in train}))
    scalings = {
        source.name: fit_scaling(tokens[source.name].select(train), source.spec.kind)
        for source in sources
    }
    found = {}
    for name, rows in splits.rows.items():
        numbers = np.array([classes.index(labels[row]) for row in rows], dtype=np.int64)
        chosen = {stream: ragged.select(rows) for stream, ragged in tokens.items()}
        found[name] = Split(
            ids=tuple(clips[row].id for row in rows),
            batch=Batch(
                scale_streams(chosen, scalings),
                targets={} if name == "test" else {target: torch.from_numpy(numbers)},
            ),
            answers=ScoreOnce(numbers, classes),
        )
    notes += [*label_notes, *missing_notes, *_partly_absent(tokens), *splits.notes]
    return Data(target, classes, tuple(sources), scalings, found, tuple(notes))


def scale_streams(
    tokens: Mapping[str, Ragged], scalings: Mapping[str, Scaling]
) -> dict[str, Ragged]:
    """Tokens as stored -> what heads read, in the order of ``scalings``."""
    return {name: scaling.apply(tokens[name]) for name, scaling in scalings.items()}


def _labelled(manifest: Manifest, target: str) -> tuple[list[Clip], list[str]]:
    """Clips with a label (and a split, when any clip has one), and notes on the others."""
    columns = dict.fromkeys(name for clip in manifest.clips for name in clip.targets)
    if target not in columns:
        raise FitError(f"{manifest.path}: {plugins.unknown('target column', target, columns)}")
    clips = [clip for clip in manifest.clips if target in clip.targets]
    notes = []
    if len(clips) < len(manifest.clips):
        notes.append(f"{len(manifest.clips) - len(clips)} clips have no {target}: not used")
    if any(clip.split for clip in clips) and not all(clip.split for clip in clips):
        unsplit = [clip.id for clip in clips if not clip.split]
        notes.append(f"{_some(unsplit)} in no split: not used")
        clips = [clip for clip in clips if clip.split]
    return clips, notes


def _present(
    clips: list[Clip], tokens: dict[str, Ragged], allowed: float
) -> tuple[list[Clip], dict[str, Ragged], list[str]]:
    """The clips with at least one stream, their tokens, and a note on the others."""
    is_present = np.any([ragged.lengths > 0 for ragged in tokens.values()], axis=0)
    if is_present.all():
        return clips, tokens, []
    missing = [clips[row] for row in np.flatnonzero(~is_present)]
    some = _some([clip.id for clip in missing])
    if len(missing) > allowed * len(clips):
        raise FitError(
            f"{some} of {len(clips)} without features, more than the allowed share of "
            f"{allowed:g}. Run emo extract, see emo store failures, or raise --allow-missing."
        )
    by_split = Counter(clip.split or "all" for clip in missing)
    where = ", ".join(f"{count} of {name}" for name, count in by_split.items())
    rows = np.flatnonzero(is_present)
    kept = {name: ragged.select(rows) for name, ragged in tokens.items()}
    return [clips[row] for row in rows], kept, [f"{some} without features: left out ({where})"]


def _partly_absent(tokens: Mapping[str, Ragged]) -> list[str]:
    counts = {name: int((ragged.lengths == 0).sum()) for name, ragged in tokens.items()}
    return [f"{name}: absent in {count} clips" for name, count in counts.items() if count]


def _some(clip_ids: Sequence[str]) -> str:
    dots = ", …" if len(clip_ids) > 3 else ""
    return f"{len(clip_ids)} clips ({', '.join(clip_ids[:3])}{dots})"
