"""Read the clips of a fit from stores and a manifest: labels, splits, dialogues, scaled tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch

from emo.errors import FitError, listed, plural
from emo.heads.data.column_notes import notes_on_constant_dimensions
from emo.heads.data.dialogues import pairs_of, turn_numbers, turns_of
from emo.heads.data.groups import Grouping, groupings
from emo.heads.data.interval_groups import CLIP, IntervalGroups
from emo.heads.data.load import LabelledClips, load_clips
from emo.heads.data.scaling import Scaling
from emo.heads.data.select import are_present
from emo.heads.data.speakers import Speakers
from emo.heads.data.splits import Splits, assign_splits, check_classes
from emo.heads.data.stream_scaling import fit_stream_scaling, requested_scalings, scale_streams
from emo.heads.data.streams import StreamSource
from emo.heads.data.targets import (
    Target,
    fit_target,
    labels_and_others,
    labels_of,
    pair_labels,
)
from emo.heads.data.top_classes import learnt_answers
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
    """Ids of the N clips."""
    batch: Batch
    """Scaled tokens, and labels for ``train`` and ``val`` only: training cannot read those of
    ``test``."""
    answers: dict[str, ScoreOnce]
    """Target -> labels of the clips, which can be compared with predictions one time only."""
    dialogues: tuple[str, ...] = ()
    """Dialogue of each clip, ``""`` where it has none; an empty tuple if no clip has one."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Stream ``recipe/stream@column`` -> id of the clip whose tokens each clip has."""


@dataclass(frozen=True, eq=False)
class Data:
    """The clips of a fit in splits, with all that is known about targets and streams."""

    targets: tuple[Target, ...]
    """Targets, at least one; the first is shown first in tables and plots."""
    sources: tuple[StreamSource, ...]
    """Streams that the head reads, in order."""
    scalings: dict[str, Scaling]
    """Scaling of each stream."""
    splits: dict[str, Split]
    """Splits in the order train, val, test; ``test`` is missing if there are no test clips."""
    notes: tuple[str, ...]
    """Notes for readers of the scores, on clips left out and on splits that `emo` made."""
    drawn_over: str = CLIP
    """Unit that bootstrap intervals are drawn over: ``clip``, ``dialogue`` or a column of the
    manifest."""
    speakers: Speakers | None = None
    """Speakers of all clips, and their statistics; None: no stream is scaled by speaker."""
    seen: tuple[str, ...] = ()
    """Sentences on evaluated clips that the weights of the features had seen, see
    :func:`emo.heads.data.seen_clips.check_unseen`."""

    @property
    def target(self) -> str:
        """Name of the first target."""
        return self.targets[0].name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the first target's classes, in the order of logits and probabilities."""
        return self.targets[0].classes

    @property
    def dims(self) -> dict[str, int]:
        """Width D of each stream's tokens."""
        return {source.name: source.spec.dim for source in self.sources}

    @property
    def widths(self) -> dict[str, Width]:
        """Number of logits C of each target."""
        return {target.name: target.width for target in self.targets}


def read_data(
    manifest: Manifest,
    features: Sequence[Location],
    options: FitOptions,
    *,
    unit: Literal["clip", "dialogue"] = "clip",
    scalings: Mapping[str, Scaling] = MappingProxyType({}),
) -> Data:
    """Read labels and tokens, leave out unusable clips with a note, make splits, and scale.

    Args:
        manifest: the clips.
        features: locations of stores.
        options: options of the fit; ``first_seed`` is the seed of splits that are made here.
        unit: ``dialogue``: unlabelled turns are kept as context, and dialogues stay whole.
        scalings: scalings of some streams, which are used instead of fitting them on ``train``.

    Raises:
        FitError: an unknown target or stream, too many clips without features, or splits from
            which nothing can be learnt.
    """
    loaded = load_clips(manifest, features, options, unit=unit, scalings=scalings)
    splits = assign_splits(
        loaded.clips,
        loaded.strata,
        seed=options.first_seed,
        unit=unit,
        are_classes=loaded.are_strata_classes and options.top_classes is None,
        cut=options.cut,
        columns=loaded.shared_columns,
    )
    notes: tuple[str, ...] = ()
    if options.top_classes is not None:
        chosen = learnt_answers(loaded, splits, options.top_classes, unit=unit)
        loaded, splits, notes = chosen.loaded, chosen.splits, chosen.notes
    return split_data(
        replace(loaded, notes=[*loaded.notes, *notes]),
        splits,
        scalings={**requested_scalings(loaded.sources, options), **scalings},
        has_others=options.top_classes is not None,
        cut=options.cut,
    )


def split_data(
    loaded: LabelledClips,
    splits: Splits,
    *,
    scalings: Mapping[str, Scaling] = MappingProxyType({}),
    has_others: bool = False,
    cut: str = "groups",
) -> Data:
    """Divide loaded clips into splits; classes and scalings are taken from ``train``.

    Args:
        loaded: clips with unscaled tokens.
        splits: rows of each split.
        scalings: scalings of some streams, which are used instead of fitting them on ``train``.
        has_others: whether val and test may have classes that train lacks, which count as wrong.
        cut: what inner folds keep together, one of :data:`emo.heads.options.CUTS`.

    Raises:
        FitError: nothing can be learnt from these splits.
    """
    targets = tuple(
        _target(name, task, loaded.clips, splits, has_others=has_others)
        for name, task in loaded.tasks.items()
    )
    train = splits.rows["train"]
    fitted = {
        source.name: scalings.get(source.name) or fit_stream_scaling(loaded, source, train)
        for source in loaded.sources
    }
    found, notes = {}, list(loaded.notes)
    for source in loaded.sources:
        has_tokens = loaded.tokens[source.name].lengths[train].any()
        if source.spec.kind == "dense" and source.name not in scalings and has_tokens:
            notes += notes_on_constant_dimensions(source.name, fitted[source.name])
    together = scale_streams(  # tokens that rows of several splits share are scaled once
        {name: loaded.tokens[name] for name in loaded.shared},
        {name: fitted[name] for name in loaded.shared},
    )
    own = {name: scaling for name, scaling in fitted.items() if name not in loaded.shared}
    grouping = _inner_grouping(loaded, splits, cut)
    for split, rows in splits.rows.items():
        tokens = {name: loaded.tokens[name].select(rows) for name in own}
        scaled = scale_streams(tokens, own, loaded.speakers and loaded.speakers.select(rows))
        scaled |= {name: ragged.subset(rows) for name, ragged in together.items()}
        clips = [loaded.clips[row] for row in rows]
        is_labelled = {name: known[rows] for name, known in loaded.is_labelled.items()}
        found[split], lost = _split(
            split,
            clips,
            {name: scaled[name] for name in fitted},
            targets,
            is_labelled,
            loaded.drawn.select(rows),
            {name: tuple(ids[row] for row in rows) for name, ids in loaded.shared.items()},
            {name: values[rows] for name, values in loaded.by.items()},
            is_bare=~are_present(loaded.tokens)[rows] if has_others else None,
        )
        if grouping is not None and split != "test":
            batch = replace(
                found[split].batch, groups=torch.from_numpy(grouping.groups[rows]),
                group_kind=grouping.kind,
            )  # fmt: skip
            found[split] = replace(found[split], batch=batch)
        notes += _notes_on_labels(split, found[split], is_fold=splits.is_fold)
        notes += [f"{split}: {count} {name} pairs name a turn that is not there: not scored"
                  for name, count in lost.items() if count]  # fmt: skip
    notes += _notes_on_leaks(found)
    every_note = (*notes, *splits.notes)
    return Data(
        targets, loaded.sources, fitted, found, every_note, loaded.drawn.over, loaded.speakers
    )


def _inner_grouping(loaded: LabelledClips, splits: Splits, cut: str) -> Grouping | None:
    """Return the group of each clip, int64 (clips,), which inner folds of train and val keep whole.

    None: no speaker or dialogue is known, or single clips were asked for.
    """
    rows = np.concatenate([splits.rows[name] for name in ("train", "val")])
    clips = [loaded.clips[row] for row in rows.tolist()]
    ways = groupings(clips, "clip", fewest=2, shared=loaded.shared_columns)
    ways = [way for way in ways if len(set(way.groups.tolist())) > 1]
    if cut == "clips" or not ways:
        return None
    numbers = np.full(len(loaded.clips), -1)
    numbers[rows] = np.unique(ways[0].groups, return_inverse=True)[1]
    return Grouping(ways[0].kind, numbers)


def _target(name: str, task: str, clips: list[Clip], splits: Splits, *, has_others: bool) -> Target:
    """Return a target with the classes of ``train``, and check those of val and test."""
    cells = [clip.targets.get(name) for clip in clips]
    if task == "classify" and not has_others:
        check_classes(splits.rows, [cell or "" for cell in cells], is_fold=splits.is_fold)
    target = fit_target(name, task, [cells[row] for row in splits.rows["train"]])
    if task == "regress":  # the scale is one of the whole corpus, not of one fold's train
        return replace(target, scale=fit_target(name, task, cells).scale)
    if task in ("multilabel", "pairs"):
        everywhere = fit_target(name, task, cells)
        unseen = set(everywhere.classes) - set(target.classes)
        if unseen:
            raise FitError(f"{name} {listed(sorted(unseen))}: does not occur in train")
    return target


def _split(
    split: str,
    clips: list[Clip],
    tokens: dict[str, Ragged],
    targets: tuple[Target, ...],
    is_labelled: Mapping[str, np.ndarray],
    drawn: IntervalGroups,
    shared: Mapping[str, tuple[str, ...]],
    by: Mapping[str, np.ndarray],
    *,
    is_bare: np.ndarray | None = None,
) -> tuple[Split, dict[str, int]]:
    """Return one split, and for each pair target how many pairs name a turn that is not there.

    Rows where ``is_bare`` is True have no tokens, and count as wrong; None: none counts so.
    """
    turns = turns_of(clips)
    of_pairs = frozenset(target.name for target in targets if target.task == "pairs")
    pairs = pairs_of(turns) if of_pairs else None
    learnt, answers, lost = {}, {}, {}
    for target in targets:
        cells = [clip.targets.get(target.name) for clip in clips]
        groups, others, values = drawn.groups, tuple[str, ...](), by
        if pairs is not None and target.name in of_pairs:
            numbers = turn_numbers(clips, turns)
            known = is_labelled[target.name]
            labels, lost[target.name] = pair_labels(target, cells, numbers, pairs, known)
            groups = None if groups is None else groups[pairs[:, 0]]
            values = {name: found[pairs[:, 0]] for name, found in by.items()}
        elif target.task == "classify":
            labels, others = labels_and_others(target, cells)
        else:
            labels = labels_of(target, cells)
        learnt[target.name] = torch.from_numpy(target.scaled(labels))
        answers[target.name] = ScoreOnce(
            labels, target.classes, task=target.task, scale=target.scale, groups=groups,
            drawn_over=drawn.over, others=others, by=values, absent=is_bare,
        )  # fmt: skip
        if is_bare is not None and is_bare.any():  # wrong when the head is chosen, too
            wrong = np.where(is_bare & (labels >= 0), len(target.classes) + len(others), labels)
            learnt[target.name] = torch.from_numpy(wrong)
    batch = Batch(
        tokens,
        turns=torch.from_numpy(turns),
        pairs=None if pairs is None else torch.from_numpy(pairs),
        targets={} if split == "test" else learnt,
        pair_targets=frozenset() if split == "test" else of_pairs,
    )
    dialogues = tuple(clip.dialogue or "" for clip in clips)
    ids = tuple(clip.id for clip in clips)
    return Split(ids, batch, answers, dialogues if any(dialogues) else (), shared), lost


def _notes_on_leaks(splits: Mapping[str, Split]) -> list[str]:
    """Return a note on each split that has tokens of the same clips as train."""
    found = []
    for name, split in splits.items():
        for stream, ids in split.shared.items() if name != "train" else ():
            trained = set(splits["train"].shared[stream]) - {""}
            both = set(ids) & trained
            if both:
                rows = sum(clip_id in both for clip_id in ids)
                found.append(
                    f"{name}: {plural(len(both), 'clip')} of {stream} "
                    f"{'is' if len(both) == 1 else 'are'} in train too ({listed(sorted(both))}), "
                    f"in {rows:,} of {plural(len(ids), 'row')}"
                )
    return found


def _notes_on_labels(split: str, found: Split, *, is_fold: bool) -> list[str]:
    """Return a note for each target of which no clip of the split has a label; none for a fold.

    Raises:
        FitError: the split is ``val`` and has no label of any target, so no round can be chosen.
    """
    names = [name for name, answers in found.answers.items() if not answers.is_labelled]
    if split == "val" and len(names) == len(found.answers):
        raise FitError(
            f"split val has no label of {' or '.join(names)}; check the split and label columns"
        )
    return [] if is_fold else [f"{split}: no {name} is known: not scored on it" for name in names]
