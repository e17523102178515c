"""From stores and a manifest to batches in RAM: labels, splits, dialogues, scaled tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch

from emo import plugins
from emo.errors import FitError
from emo.heads.data.dialogues import numbers_of, pairs_of, turns_of
from emo.heads.data.load import LabelledClips, load_clips
from emo.heads.data.scaling import Scaling, asked_scaling, fit_scaling
from emo.heads.data.splits import Splits, assign_splits, check_classes
from emo.heads.data.streams import StreamSource
from emo.heads.data.targets import Target, fit_target, labels_of, pair_labels
from emo.heads.head import Batch, Width
from emo.heads.metrics.scores import ScoreOnce
from emo.heads.options import FitOptions
from emo.manifest import Clip, Manifest
from emo.ragged import Ragged
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class Split:
    """The clips of one split."""

    ids: tuple[str, ...]
    batch: Batch
    """Scaled tokens; targets for ``train`` and ``val`` only: the loop never sees test labels."""
    answers: dict[str, ScoreOnce]
    """By target its labels, for the scores at the end."""
    dialogues: tuple[str, ...] = ()
    """Of each clip, ``""`` where it has none; empty if no clip has one."""


@dataclass(frozen=True, eq=False)
class Data:
    """Everything that a fit needs."""

    targets: tuple[Target, ...]
    """At least one; the first is the one that tables and pictures show first."""
    sources: tuple[StreamSource, ...]
    scalings: dict[str, Scaling]
    splits: dict[str, Split]
    """In the order train, val, test; ``test`` is there only if the manifest has one."""
    notes: tuple[str, ...]
    """What a reader of the scores must know: clips left out, splits that were cut."""

    @property
    def target(self) -> str:
        """The first target."""
        return self.targets[0].name

    @property
    def classes(self) -> tuple[str, ...]:
        """Sorted names of the first target's classes; the order of logits and probabilities."""
        return self.targets[0].classes

    @property
    def dims(self) -> dict[str, int]:
        """D of each stream."""
        return {source.name: source.spec.dim for source in self.sources}

    @property
    def widths(self) -> dict[str, Width]:
        """C of each target."""
        return {target.name: target.width for target in self.targets}


def read_data(
    manifest: Manifest,
    features: Sequence[Location],
    options: FitOptions,
    *,
    unit: Literal["clip", "dialogue"] = "clip",
    scalings: Mapping[str, Scaling] = MappingProxyType({}),
) -> Data:
    """Read labels and tokens, drop what cannot be used and say so, cut splits, scale.

    Args:
        manifest: the clips.
        features: stores.
        options: as of :func:`emo.heads.data.load.load_clips`; splits are cut with ``first_seed``.
        unit: ``dialogue``: turns without a label stay, and dialogues are never cut.
        scalings: as of :func:`split_data`.

    Raises:
        FitError: an unknown target or stream, too many clips without features, or splits from
            which nothing can be learnt.
    """
    loaded = load_clips(manifest, features, options, unit=unit)
    splits = assign_splits(
        loaded.clips,
        loaded.strata,
        seed=options.first_seed,
        unit=unit,
        are_classes=loaded.are_strata_classes,
    )
    return split_data(
        loaded, splits, unit=unit, scalings={**asked_scalings(loaded.sources, options), **scalings}
    )


def split_data(
    loaded: LabelledClips,
    splits: Splits,
    *,
    unit: Literal["clip", "dialogue"],
    scalings: Mapping[str, Scaling] = MappingProxyType({}),
) -> Data:
    """What was loaded, cut into these splits; classes and scaling are those of ``train``.

    Streams of ``scalings`` are scaled as it says instead.
    """
    targets = tuple(
        _target(name, task, loaded.clips, splits) for name, task in loaded.tasks.items()
    )
    train = splits.rows["train"]
    fitted = {
        source.name: scalings.get(source.name)
        or fit_scaling(loaded.tokens[source.name].select(train), source.spec.kind)
        for source in loaded.sources
    }
    found, notes = {}, list(loaded.notes)
    for split, rows in splits.rows.items():
        tokens = {name: ragged.select(rows) for name, ragged in loaded.tokens.items()}
        clips = [loaded.clips[row] for row in rows]
        is_labelled = {name: known[rows] for name, known in loaded.is_labelled.items()}
        found[split], lost = _split(
            split, clips, scale_streams(tokens, fitted), targets, unit, is_labelled
        )
        notes += _unlabelled(split, found[split], is_fold=splits.is_fold)
        notes += [f"{split}: {count} {name} pairs name a turn that is not there: not scored"
                  for name, count in lost.items() if count]  # fmt: skip
    return Data(targets, loaded.sources, fitted, found, (*notes, *splits.notes))


def asked_scalings(sources: Sequence[StreamSource], options: FitOptions) -> dict[str, Scaling]:
    """Of the streams that shall not be standardised.

    Raises:
        FitError: an unknown stream, or a scaling that it cannot have.
    """
    known = {source.name: source for source in sources}
    found = {}
    for name, words in options.scaling.items():
        if name not in known:
            raise FitError(plugins.unknown("stream of --scaling", name, known))
        source, stream = known[name], name.partition("/")[2]
        logit_scale = source.recipe.facts.get("logit_scale", {}).get(stream)
        try:
            found[name] = asked_scaling(words, source.spec.dim, logit_scale)
        except ValueError as error:
            raise FitError(f"--scaling {name}={words}: {error}") from error
    return found


def scale_streams(
    tokens: Mapping[str, Ragged], scalings: Mapping[str, Scaling]
) -> dict[str, Ragged]:
    """Tokens as stored -> what heads read, in the order of ``scalings``."""
    return {name: scaling.apply(tokens[name]) for name, scaling in scalings.items()}


def _target(name: str, task: str, clips: list[Clip], splits: Splits) -> Target:
    """From the training split; the classes of val and test must be among its own."""
    cells = [clip.targets.get(name) for clip in clips]
    if task == "classify":
        check_classes(splits.rows, [cell or "" for cell in cells], is_fold=splits.is_fold)
    target = fit_target(name, task, [cells[row] for row in splits.rows["train"]])
    if task == "regress":  # a corpus has one scale, whatever numbers a fold's train happens to hold
        return replace(target, scale=fit_target(name, task, cells).scale)
    if task in ("multilabel", "pairs"):
        everywhere = fit_target(name, task, cells)
        unseen = set(everywhere.classes) - set(target.classes)
        if unseen:
            raise FitError(f"{name} {', '.join(sorted(unseen))}: does not occur in train")
    return target


def _split(
    split: str,
    clips: list[Clip],
    tokens: dict[str, Ragged],
    targets: tuple[Target, ...],
    unit: str,
    is_labelled: Mapping[str, np.ndarray],
) -> tuple[Split, dict[str, int]]:
    """Its batch and answers, and how many pairs of each target name a turn that is not there."""
    turns = turns_of(clips)
    of_pairs = frozenset(target.name for target in targets if target.task == "pairs")
    pairs = pairs_of(turns) if of_pairs else None
    dialogue = np.empty(len(clips), dtype=np.int64)
    for number, rows in enumerate(turns):
        dialogue[rows[rows >= 0]] = number
    learnt, answers, lost = {}, {}, {}
    for target in targets:
        cells = [clip.targets.get(target.name) for clip in clips]
        groups = dialogue if unit == "dialogue" else None
        if pairs is not None and target.name in of_pairs:
            numbers = numbers_of(clips, turns)
            known = is_labelled[target.name]
            labels, lost[target.name] = pair_labels(target, cells, numbers, pairs, known)
            groups = dialogue[pairs[:, 0]]
        else:
            labels = labels_of(target, cells)
        learnt[target.name] = torch.from_numpy(target.scaled(labels))
        answers[target.name] = ScoreOnce(
            labels, target.classes, task=target.task, scale=target.scale, groups=groups
        )
    batch = Batch(
        tokens,
        turns=torch.from_numpy(turns),
        pairs=None if pairs is None else torch.from_numpy(pairs),
        targets={} if split == "test" else learnt,
        pair_targets=frozenset() if split == "test" else of_pairs,
    )
    dialogues = tuple(clip.dialogue or "" for clip in clips)
    ids = tuple(clip.id for clip in clips)
    return Split(ids, batch, answers, dialogues if any(dialogues) else ()), lost


def _unlabelled(split: str, found: Split, *, is_fold: bool) -> list[str]:
    """Notes on targets of which no clip of the split has a label.

    Raises:
        FitError: it is ``val``, and has a label of no target: nothing could be chosen by it.
    """
    names = [name for name, answers in found.answers.items() if not answers.is_labelled]
    if split == "val" and len(names) == len(found.answers):
        raise FitError(
            f"split val has no label of {' or '.join(names)}; check the split and label columns"
        )
    return [] if is_fold else [f"{split}: no {name} is known: not scored on it" for name in names]
