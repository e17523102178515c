"""Load the clips of a fit with their labels and stored tokens, before they are split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from emo import plugins
from emo.errors import FitError
from emo.heads.data.column_notes import notes_on_outlying_dimensions
from emo.heads.data.dialogues import with_turns
from emo.heads.data.interval_groups import IntervalGroups, interval_groups, value_of
from emo.heads.data.scaling import Scaling
from emo.heads.data.select import (
    drop_without_features,
    labelled_clips,
    notes_on_absent_streams,
    notes_on_shared_clips,
    subsample,
)
from emo.heads.data.speakers import (
    Speakers,
    check_by_speaker,
    read_speakers,
    speaker_streams,
)
from emo.heads.data.streams import StreamSource, open_sources
from emo.heads.data.targets import labelled_with_pairs, strata_of
from emo.heads.options import FitOptions
from emo.manifest import Clip, Manifest
from emo.manifest.missing import missing_fault, missing_note
from emo.manifest.tasks import near_classes_note, number_fault, task_of_cells
from emo.ragged import Ragged
from emo.store.backend.location import Location


@dataclass(frozen=True, eq=False)
class LabelledClips:
    """N clips that have labels and tokens, before they are divided into splits or folds."""

    clips: list[Clip]
    tokens: dict[str, Ragged]
    """Unscaled tokens of all clips by stream: numpy (ΣT, D), as stored; those that clips share
    are kept once."""
    sources: tuple[StreamSource, ...]
    """Streams, in the order requested."""
    tasks: dict[str, str]
    """Task of each target, in the order requested."""
    notes: list[str]
    """Notes on clips and streams that were left out."""
    is_labelled: dict[str, np.ndarray]
    """For each pair target, bool (N,): whether the causes of the clip were annotated."""
    drawn: IntervalGroups
    """Groups of clips that intervals are drawn over."""
    speakers: Speakers | None = None
    """Speakers of the clips, and their statistics; None: no stream is scaled by speaker."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Stream ``recipe/stream@column`` -> id of the clip whose tokens each of the N clips has;
    ``""``: none."""
    by: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Column of ``--by`` -> its value in each of the N clips, text (N,); ``""``: none."""

    @property
    def shared_columns(self) -> tuple[str, ...]:
        """Columns through which clips share tokens, so that splits should keep them together."""
        return tuple(dict.fromkeys(source.column for source in self.sources if source.column))

    @property
    def strata(self) -> list[str]:
        """A word for each clip, from the first target; splits get similar shares of each word."""
        name, task = next(iter(self.tasks.items()))
        return strata_of(task, [clip.targets.get(name) for clip in self.clips])

    @property
    def are_strata_classes(self) -> bool:
        """Whether the strata are the classes to learn, or only serve to divide the clips."""
        return next(iter(self.tasks.values())) == "classify"


def load_clips(
    manifest: Manifest,
    features: Sequence[Location],
    options: FitOptions,
    *,
    unit: Literal["clip", "dialogue"] = "clip",
    uses_splits: bool = True,
    scalings: Mapping[str, Scaling] = MappingProxyType({}),
) -> LabelledClips:
    """Read labels and tokens, and leave out clips that cannot be used, with a note.

    Args:
        manifest: the clips.
        features: locations of stores.
        options: targets, tasks, streams, ``allow_missing``, ``max_samples`` and ``first_seed``.
        unit: ``dialogue``: unlabelled turns of a dialogue are kept as context.
        uses_splits: False: take all labelled clips, whatever their split.
        scalings: scalings of some streams from the runs of ``--init``.

    Raises:
        FitError: an unknown target or stream, a column of numbers with cells that are none, too
            many clips without features, or a stream that cannot be scaled by speaker.
    """
    sources, notes = open_sources(features, options.streams)
    by_speaker = speaker_streams(sources, options, scalings)
    check_by_speaker(by_speaker, manifest.clips)
    tasks = tasks_of_targets(manifest, options.targets, options.tasks)
    notes += _notes_on_code(sources)
    notes += [*_notes_on_classes(manifest, tasks), *_notes_on_numbers(manifest, tasks)]
    annotated = _annotated(manifest, tasks)
    manifest = replace(manifest, clips=with_turns(manifest.clips))  # before clips are left out
    if not uses_splits:
        unsplit = tuple(replace(clip, split=None) for clip in manifest.clips)
        manifest = replace(manifest, clips=unsplit)
    clips, label_notes = labelled_clips(manifest, tasks, unit)
    if options.max_samples is not None:
        first, task = next(iter(tasks.items()))
        clips = subsample(
            clips, options.max_samples, unit=unit, seed=options.first_seed,
            classes_of=first if task == "classify" else None,
        )  # fmt: skip
        label_notes.append(f"at most {options.max_samples} clips of each split: only a quick look")
    tokens = {source.name: source.read_clips(clips) for source in sources}
    clips, tokens, missing_notes = drop_without_features(
        clips, tokens, options.allow_missing, keeps=options.top_classes is not None
    )
    notes += [*label_notes, *missing_notes, *notes_on_absent_streams(tokens)]
    shared = {
        source.name: tuple(source.parts.clip_ids(clips)) for source in sources if source.column
    }
    notes += notes_on_shared_clips(shared, tokens)
    ids = [clip.id for clip in clips]
    for source in (source for source in sources if source.spec.kind == "dense"):
        named = shared.get(source.name, ids)
        notes += notes_on_outlying_dimensions(source.name, tokens[source.name], named)
    is_labelled = {
        name: np.array([clip.id in ids for clip in clips], dtype=bool)
        for name, ids in annotated.items()
    }
    drawn = interval_groups(clips, options.interval_over)
    speakers = read_speakers(manifest.clips, clips, tokens, by_speaker) if by_speaker else None
    notes += speakers.notes() if speakers else []
    return LabelledClips(
        clips,
        tokens,
        tuple(sources),
        tasks,
        notes,
        is_labelled,
        drawn,
        speakers,
        shared,
        {name: _values_of(clips, name) for name in options.by_columns},
    )


def _values_of(clips: Sequence[Clip], column: str) -> np.ndarray:
    """Return the value of a column of ``--by`` in each clip, text (N,).

    Raises:
        FitError: no clip has a value of the column.
    """
    values = [value_of(clip, column) for clip in clips]
    if not any(values):
        columns = dict.fromkeys(name for clip in clips for name in clip.targets)
        known = [name for name in ("speaker", "dialogue") if any(value_of(c, name) for c in clips)]
        raise FitError(f"--by: {plugins.unknown('column', column, [*columns, *known])}")
    return np.array(values, dtype=object)


def _annotated(manifest: Manifest, tasks: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for each pair target, the ids of the clips whose causes were annotated."""
    found = {}
    for name in (name for name, task in tasks.items() if task == "pairs"):
        cells = [clip.targets.get(name) for clip in manifest.clips]
        known = labelled_with_pairs(cells, [clip.split for clip in manifest.clips])
        ids = zip(manifest.clips, known, strict=True)
        found[name] = {clip.id for clip, is_known in ids if is_known}
    return found


def tasks_of_targets(
    manifest: Manifest, names: tuple[str, ...], tasks: Mapping[str, str]
) -> dict[str, str]:
    """Return the task of each target, in the order requested."""
    columns = dict.fromkeys(name for clip in manifest.clips for name in clip.targets)
    for name in names:
        if name not in columns:
            unknown = plugins.unknown("target column", name, columns)
            raise FitError(f"{manifest.path}: {unknown} Choose with --target.")
    for name in tasks:
        if name not in names:
            raise FitError(plugins.unknown("target of a task", name, names))
    return {name: tasks.get(name) or _told_task(manifest, name) for name in names}


def _told_task(manifest: Manifest, name: str) -> str:
    """Return the task that the cells of a target suggest.

    Raises:
        FitError: the column is mostly numbers, but has other cells; or it has words for a missing
            value among its classes.
    """
    cells = {clip.id: clip.targets.get(name) for clip in manifest.clips}
    fault = number_fault(name, cells)
    if fault:
        raise FitError(f"{manifest.path}: {fault}")
    task = task_of_cells(cells.values())
    fault = missing_fault(name, task, cells)
    if fault:
        raise FitError(f"{manifest.path}: {fault}")
    return task


def _notes_on_code(sources: Sequence[StreamSource]) -> list[str]:
    """Return a note for each recipe whose tokens were made by code of one's own and edits of it."""
    codes = {
        (folder.path.name, folder.recipe.backbone): folder.code
        for source in sources
        for folder in source.folders
    }
    return [
        f"recipe {name!r}: the code of {backbone} was edited between its tokens; if the edit "
        "changed numbers, extract them again with --as NAME"
        for (name, backbone), code in codes.items()
        if code and " or " in code
    ]


def _notes_on_classes(manifest: Manifest, tasks: Mapping[str, str]) -> list[str]:
    """Return warnings of classes that differ only in spelling, or are words such as ``none``."""
    notes = [
        note_of(name, task, [clip.targets.get(name) for clip in manifest.clips])
        for name, task in tasks.items()
        for note_of in (near_classes_note, missing_note)
    ]
    return [note for note in notes if note]


def _notes_on_numbers(manifest: Manifest, tasks: Mapping[str, str]) -> list[str]:
    """Return a line for each target whose numbers were read from another writing."""
    found = manifest.number_notes
    return [f"{name}: {found[name]}" for name in tasks if name in found]
