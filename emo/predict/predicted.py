"""Predict the clips of a manifest with a run; the result holds probabilities, not files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import EmoError, FitError, plural
from emo.heads.data.dialogues import pairs_of, turns_of
from emo.heads.data.speakers import Speakers
from emo.heads.data.targets import Target
from emo.heads.runs.chunks import chunk_numbers
from emo.heads.runs.clips_file import read_clip_ids
from emo.heads.runs.predictions import probability_columns
from emo.heads.runs.run import Run, stored_tokens
from emo.manifest import Clip, Manifest
from emo.manifest.tasks import NONE, SEPARATOR
from emo.predict.features import features_of
from emo.predict.person import EVERYONE, Person, speakers_and_notes
from emo.ragged import Ragged
from emo.store.backend.location import Location
from emo.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of all clips that have features."""

    run: Run
    """The run."""
    clips: tuple[Clip, ...]
    """The clips, in the order of the manifest."""
    tables: Mapping[str, np.ndarray]
    """Target -> float (rows, C) probabilities, or (rows, 1) numbers."""
    absent: tuple[str, ...]
    """Streams that each clip lacks, such as ``wavlm/audio``, with commas; empty: none."""
    failures: Mapping[str, str]
    """Clip without any tokens -> reason."""
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Clip -> stream that it lacks -> reason, where one is known."""
    notes: tuple[str, ...] = ()
    """Notes on streams that clips lack; and of a run that scales by speaker, on speakers of few
    clips and on clips without one."""

    def documents(self) -> list[dict[str, Any]]:
        """Return a dict of JSON values for each clip, as `emo predict --json` prints it for one.

        Of a run whose first target is of pairs, it is a dict for each pair of turns.
        """
        first, *more = self.run.targets
        labels = self.labels(first) or [first.name] * len(self.tables[first.name])
        rows = [
            {"id": clip_id, "target": first.name, "label": label, "probabilities": shares}
            for clip_id, label, shares in zip(
                self.frame(first)["id"], labels, self._shares(first), strict=True
            )
        ]
        if first.task == "pairs":
            causes = self.frame(first)["cause_id"]
            return [row | {"cause_id": cause} for row, cause in zip(rows, causes, strict=True)]
        others = {each.name: self._shares(each) for each in more if each.task != "pairs"}
        for number, row in enumerate(rows):
            names = filter(None, self.absent[number].split(", "))
            reasons = self.reasons.get(row["id"], {})
            row["others"] = {name: shares[number] for name, shares in others.items()}
            row["absent"] = {name: reasons.get(name, "no reason given") for name in names}
        return rows

    def _shares(self, target: Target) -> list[dict[str, float]]:
        """Return class -> probability of each row; of a number, its name -> the number."""
        names = target.classes or (target.name,)
        return [dict(zip(names, row.tolist(), strict=True)) for row in self.tables[target.name]]

    def labels(self, target: Target) -> list[str]:
        """Return the predicted classes of each row; empty for a target of numbers."""
        rows = self.tables[target.name] if target.classes else ()
        return [label_of(target, row) for row in rows]

    def frame(self, target: Target | None = None, *, all_classes: bool = True) -> pd.DataFrame:
        """Return the predictions of one target: ``id``, ``prediction``, probabilities, ``absent``.

        Args:
            target: one of the run's; None: the first.
            all_classes: False: of more than 100 classes, the five most probable.
        """
        import pandas as pd  # a quarter of a second, which one clip does not need

        target = target or self.run.targets[0]
        table = self.tables[target.name]
        shares = probability_columns(target.classes, table, all_classes=all_classes)
        frame = pd.DataFrame(shares, index=range(len(table)))
        frame.insert(0, "prediction", self.labels(target) or table[:, 0])
        ids = [clip.id for clip in self.clips]
        if target.task == "pairs":
            pairs = pairs_of(turns_of(self.clips))
            frame.insert(0, "id", [ids[row] for row in pairs[:, 0]])
            frame.insert(1, "cause_id", [ids[row] for row in pairs[:, 1]])
            return frame
        frame.insert(0, "id", ids)
        frame["absent"] = list(self.absent)
        return frame


def predict_clips(
    run: Run | Path,
    manifest: Manifest,
    stores: Sequence[Location | str] = (),
    *,
    options: Sequence[str] = (),
    person: Person = EVERYONE,
    progress: bool | None = None,
) -> Predicted:
    """Predict every clip of a manifest.

    Args:
        run: the run, or its folder.
        manifest: the clips.
        stores: stores with the clips' tokens, of which each recipe is in one; empty: extract them
            into a temporary store.
        options: folders of weights on this machine, as ``recipe.weights=DIR``.
        person: the speaker of all clips, and further clips; else the manifest's speakers count.
        progress: whether to show a bar of extraction; None: in a terminal.

    Raises:
        EmoError: the run or a store cannot be read, or no clip has features.
    """
    run = Run.load(run) if isinstance(run, Path) else run
    manifest = person.added_to(manifest, run)
    with tempfile.TemporaryDirectory(prefix="emo-predict-") as folder:
        store, failures = features_of(
            run, manifest, stores, Path(folder), options, progress=progress
        )
        present = [clip for clip in manifest.clips if clip.id not in failures]
        streams, bare = stored_tokens(run, present, store)
        failures |= bare
        everyone = [clip for clip in manifest.clips if clip.id not in failures]
        speakers, notes = speakers_and_notes(
            run, everyone, streams, person=person, failures=failures
        )
        rows = [row for row, clip in enumerate(everyone) if person.is_predicted(clip.id)]
        clips = tuple(everyone[row] for row in rows)
        streams = {name: tokens.subset(rows) for name, tokens in streams.items()}
        failures = {name: reason for name, reason in failures.items() if person.is_predicted(name)}
        if not clips:
            first = next((f"{clip}: {reason}" for clip, reason in failures.items()), "no clips")
            raise EmoError(f"{manifest.path}: no clip has features; first: {first}")
        rows_of = {clip.id: row for row, clip in enumerate(manifest.clips)}
        numbers = chunk_numbers(run.head.unit, manifest.clips)
        numbers = numbers[[rows_of[clip.id] for clip in clips]]
        tables = _in_chunks(run, clips, streams, speakers and speakers.select(rows), numbers)
        reasons = _reasons(run, clips, store)
    read = run.head.read_streams
    lacking = {name: streams[name].lengths == 0 for name in streams if name in read}
    absent = tuple(
        ", ".join(name for name, is_absent in lacking.items() if is_absent[row])
        for row in range(len(clips))
    )
    notes = (*notes, *_notes_on_absent(lacking))
    return Predicted(run, clips, tables, absent, failures, reasons, notes)


def _in_chunks(
    run: Run,
    clips: Sequence[Clip],
    streams: Mapping[str, Ragged],
    speakers: Speakers | None,
    numbers: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the predictions of N clips by target, computed chunk by chunk.

    Chunks are those of `emo predict --out FOLDER/`, so that both predict the same bits.

    Args:
        run: the run.
        clips: the clips.
        streams: their stored tokens by stream.
        speakers: their speakers; None: no stream is scaled by speaker.
        numbers: int64 (N,), the chunk of each clip, see :func:`chunk_numbers`.
    """
    if not len(numbers) or (numbers == numbers[0]).all():
        return run.predict_all(streams, turns_of(clips), speakers)
    parts: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        chosen = {name: tokens.subset(rows) for name, tokens in streams.items()}
        turns = turns_of([clips[row] for row in rows.tolist()])
        found = run.predict_all(chosen, turns, speakers and speakers.select(rows))
        parts.append((rows, found))
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    tables = {}
    for target in run.targets:
        table = np.concatenate([found[target.name] for _, found in parts])
        tables[target.name] = table if target.task == "pairs" else table[order]
    return tables


def notes_on_fitted(run: Run, ids: Sequence[str]) -> list[str]:
    """Return a line on the clips that the run was fitted on, whose scores would be too high."""
    try:
        known = read_clip_ids(run.path)
    except FitError:  # a run of an earlier version has no list
        return []
    counts = {name: len(known.get(name, frozenset()) & set(ids)) for name in ("train", "val")}
    told = [f"{count:,} {name}" for name, count in counts.items() if count]
    if not told:
        return []
    return [f"the run was fitted on {' and '.join(told)} of these {plural(len(ids), 'clip')}"]


def _notes_on_absent(lacking: Mapping[str, np.ndarray]) -> list[str]:
    """Return a line for each stream that some of the predicted clips lack.

    Args:
        lacking: stream -> bool (N,), whether each clip lacks it.
    """
    return [
        f"{name}: absent in {int(is_absent.sum()):,} of {plural(len(is_absent), 'clip')}"
        for name, is_absent in lacking.items()
        if is_absent.any()
    ]


def _reasons(run: Run, clips: Sequence[Clip], store: Store) -> dict[str, dict[str, str]]:
    """Return clip -> stream of the run that it lacks -> reason."""
    found: dict[str, dict[str, str]] = {}
    for stream, parts in run.stream_names.items():
        absent = store.recipes[parts.recipe].absent
        for clip, stored in zip(clips, parts.clip_ids(clips), strict=True) if absent else ():
            if parts.stream in absent.get(stored, {}):
                found.setdefault(clip.id, {})[stream] = absent[stored][parts.stream]
    return found


def label_of(target: Target, shares: np.ndarray) -> str:
    """Return the most probable class; for a multilabel target, all with probability > 0.5."""
    if target.task != "multilabel":
        return target.classes[int(shares.argmax())]
    chosen = [name for name, share in zip(target.classes, shares, strict=True) if share > 0.5]
    return SEPARATOR.join(chosen) or NONE
