"""The clips of a fit with their tokens, as stored: what is read once, before splits are cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from emo import plugins
from emo.errors import FitError
from emo.heads.data.dialogues import with_turns
from emo.heads.data.select import drop_without_features, fewer, labelled, partly_absent
from emo.heads.data.streams import StreamSource, open_sources
from emo.heads.data.targets import labelled_with_pairs, strata_of, task_of_cells
from emo.heads.options import FitOptions
from emo.manifest import Clip, Manifest
from emo.ragged import Ragged
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class LabelledClips:
    """Clips that have what a fit needs, before it is said who trains and who is tested."""

    clips: list[Clip]
    tokens: dict[str, Ragged]
    """By stream, of all clips, unscaled."""
    sources: tuple[StreamSource, ...]
    tasks: dict[str, str]
    """By target, in the order asked for."""
    notes: list[str]
    is_labelled: dict[str, np.ndarray]
    """By target of pairs, (N,) bool: of each clip it is known whether and why it has causes."""

    @property
    def strata(self) -> list[str]:
        """A word for each clip by which splits and folds are cut alike: of the first target."""
        name, task = next(iter(self.tasks.items()))
        return strata_of(task, [clip.targets.get(name) for clip in self.clips])

    @property
    def are_strata_classes(self) -> bool:
        """The strata are what is learnt, not only a way to cut."""
        return next(iter(self.tasks.values())) == "classify"


def load_clips(
    manifest: Manifest,
    features: Sequence[Location],
    options: FitOptions,
    *,
    unit: Literal["clip", "dialogue"] = "clip",
    uses_splits: bool = True,
) -> LabelledClips:
    """Read labels and tokens, drop what cannot be used and say so.

    Args:
        manifest: the clips.
        features: stores.
        options: its targets, tasks, streams, ``allow_missing`` and ``max_samples`` are read.
        unit: ``dialogue``: turns without a label stay.
        uses_splits: False: all labelled clips, whatever their split.

    Raises:
        FitError: an unknown target or stream, or too many clips without features.
    """
    sources, notes = open_sources(features, options.streams)
    asked = _tasks(manifest, options.targets, options.tasks)
    annotated = _annotated(manifest, asked)
    manifest = replace(manifest, clips=with_turns(manifest.clips))  # before any of them is left out
    if not uses_splits:
        unsplit = tuple(replace(clip, split=None) for clip in manifest.clips)
        manifest = replace(manifest, clips=unsplit)
    clips, label_notes = labelled(manifest, asked, unit)
    if options.max_samples is not None:
        first, task = next(iter(asked.items()))
        clips = fewer(
            clips, options.max_samples, unit=unit, seed=options.first_seed,
            classes_of=first if task == "classify" else None,
        )  # fmt: skip
        label_notes.append(f"at most {options.max_samples} clips of each split: only a quick look")
    tokens = {source.name: source.read([clip.id for clip in clips]) for source in sources}
    clips, tokens, missing_notes = drop_without_features(clips, tokens, options.allow_missing)
    notes += [*label_notes, *missing_notes, *partly_absent(tokens)]
    is_labelled = {
        name: np.array([clip.id in ids for clip in clips], dtype=bool)
        for name, ids in annotated.items()
    }
    return LabelledClips(clips, tokens, tuple(sources), asked, notes, is_labelled)


def _annotated(manifest: Manifest, tasks: Mapping[str, str]) -> dict[str, set[str]]:
    """By target of pairs, the ids of the clips that are labelled with it."""
    found = {}
    for name in (name for name, task in tasks.items() if task == "pairs"):
        cells = [clip.targets.get(name) for clip in manifest.clips]
        known = labelled_with_pairs(cells, [clip.split for clip in manifest.clips])
        ids = zip(manifest.clips, known, strict=True)
        found[name] = {clip.id for clip, is_known in ids if is_known}
    return found


def _tasks(manifest: Manifest, names: tuple[str, ...], tasks: Mapping[str, str]) -> dict[str, str]:
    """The task of each target, in the order asked for."""
    columns = dict.fromkeys(name for clip in manifest.clips for name in clip.targets)
    for name in names:
        if name not in columns:
            unknown = plugins.unknown("target column", name, columns)
            raise FitError(f"{manifest.path}: {unknown} Choose with --target.")
    for name in tasks:
        if name not in names:
            raise FitError(plugins.unknown("target of a task", name, names))
    return {
        name: tasks.get(name) or task_of_cells([clip.targets.get(name) for clip in manifest.clips])
        for name in names
    }
