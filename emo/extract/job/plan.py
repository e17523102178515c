"""The plan: which clips the store lacks, cut into parts.

What is done is the set of clip ids in committed parts, and nothing else. Parts are cut from the
manifest alone, so that two plans of one manifest cut alike; what is done is then left out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from emo.errors import EmoError
from emo.extract.decode.source import source_hash
from emo.extract.job.request import Job, Request
from emo.manifest import Clip
from emo.store.store import RecipeFolder

Changed = Literal["stop", "redo", "keep"]


class StaleClips(EmoError):
    """Clips whose manifest row or file changed under the same id since they were extracted."""


@dataclass(frozen=True)
class Todo:
    """What one recipe lacks of a part."""

    ids: frozenset[str]
    attempt: int = 0
    """0 for clips never tried; K for the K-th time that some of them are done again."""


@dataclass(frozen=True)
class PartPlan:
    """Clips that one worker does and commits together."""

    clips: tuple[Clip, ...]
    """In manifest order; those that at least one recipe lacks."""
    todo: dict[str, Todo]
    """By recipe name."""

    def only(self, ids: Collection[str]) -> "PartPlan":
        """The same work for some of the clips."""
        todo = {
            name: replace(wanted, ids=wanted.ids & set(ids)) for name, wanted in self.todo.items()
        }
        kept = tuple(clip for clip in self.clips if clip.id in ids)
        return PartPlan(kept, {name: wanted for name, wanted in todo.items() if wanted.ids})


@dataclass(frozen=True)
class Plan:
    """All that is missing, and what was found on the way."""

    parts: Sequence[PartPlan]
    """Cut when they are asked for: a plan of ten million clips holds none of them."""
    done: dict[str, int]
    """Clips of the manifest which each recipe has already."""
    failed: dict[str, dict[str, str]]
    """Clips of the manifest recorded as failed and not tried again now, with reasons."""

    @property
    def clips(self) -> int:
        """Clips to decode."""
        return sum(len(part.clips) for part in self.parts)


@dataclass(frozen=True)
class Redo:
    """Which clips that the store knows are done again."""

    failed: bool = False
    """Those recorded as failed (``--retry-failed``)."""
    changed: Changed = "stop"
    """Those whose row or file changed: ``stop`` with their names, ``redo`` or ``keep`` them."""


def make_plan(
    job: Job,
    folders: Mapping[str, RecipeFolder | None],
    clips: Sequence[Clip],
    *,
    part_clips: int,
    redo: Redo = Redo(),
) -> Plan:
    """Find what each recipe lacks and cut it into parts of at most ``part_clips`` clips.

    Args:
        job: the backbones and the root of the clips' paths.
        folders: by recipe name; None: the recipe does not exist yet.
        clips: the manifest's, in its order.
        part_clips: at most so many clips a part.
        redo: which of the clips that the store knows are done again.

    Raises:
        StaleClips: clips changed under the same id and ``redo.changed`` is ``stop``.
    """
    clips = by_file(clips)
    known = {name: _Known.of(folder, clips, job, redo) for name, folder in folders.items()}
    return Plan(
        _Parts(clips, known, part_clips),
        done={name: len(facts.done) for name, facts in known.items()},
        failed={name: facts.failed for name, facts in known.items()},
    )


def still_missing(folder: RecipeFolder, wanted: Todo) -> frozenset[str]:
    """What of ``wanted`` no committed part of ``folder`` holds, as it was last refreshed."""
    attempts = folder.attempts
    return frozenset(
        clip_id for clip_id in wanted.ids if attempts.get(clip_id, -1) < wanted.attempt
    )


def by_file(clips: Sequence[Clip]) -> Sequence[Clip]:
    """Stretches of one file one after the other, where the first of them was: one worker decodes
    them in one pass. Other clips stay in the manifest's order.
    """
    if all(clip.start_seconds is None for clip in clips):  # no lists of ten million
        return clips
    first: dict[str, int] = {}
    order = []
    for index, clip in enumerate(clips):
        file = clip.video or clip.audio
        if clip.start_seconds is None or file is None:
            order.append((index, 0.0, index))
        else:
            order.append((first.setdefault(file, index), clip.start_seconds, index))
    if all(low < high for low, high in pairwise(order)):
        return clips
    return [clips[index] for _, _, index in sorted(order)]


@dataclass(frozen=True)
class _Known:
    """What a recipe holds of the manifest's clips."""

    done: frozenset[str]
    failed: dict[str, str]
    again: dict[str, int]
    """Clips to do again -> the number of the coming attempt."""

    @classmethod
    def of(
        cls, folder: RecipeFolder | None, clips: Sequence[Clip], job: Job, redo: Redo
    ) -> "_Known":
        if folder is None:
            return cls(frozenset(), {}, {})
        sources, failures = folder.sources, folder.failures
        tried = [clip for clip in clips if clip.id in sources]
        stale = [
            clip.id
            for clip in tried
            if redo.changed != "keep" and source_hash(clip, job.root) != sources[clip.id]
        ]
        stale_done = [clip_id for clip_id in stale if clip_id not in failures]
        if stale_done and redo.changed == "stop":
            raise StaleClips(_stale_message(folder.name, stale_done))
        retried = {clip.id for clip in tried if redo.failed and clip.id in failures}
        attempts = folder.attempts if retried or stale else {}  # 100 bytes a clip
        again = {clip_id: attempts[clip_id] + 1 for clip_id in retried | set(stale)}
        kept = {clip.id for clip in tried} - set(again)
        return cls(
            done=frozenset(kept - failures.keys()),
            failed={clip_id: failures[clip_id] for clip_id in sorted(kept & failures.keys())},
            again=again,
        )


class _Parts(Sequence[PartPlan]):
    """The parts that are not wholly done, each cut from the manifest anew when it is asked for."""

    def __init__(self, clips: Sequence[Clip], known: dict[str, _Known], part_clips: int) -> None:
        self._clips, self._known, self._part_clips = clips, known, part_clips
        starts = range(0, len(clips), part_clips)
        self._starts = [start for start in starts if self._at(start) is not None]

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, part: int) -> PartPlan:  # type: ignore[override]
        found = self._at(self._starts[part])
        assert found is not None  # or it were none of the starts
        return found

    def _at(self, start: int) -> PartPlan | None:
        return _cut(self._clips[start : start + self._part_clips], self._known)


def _cut(clips: Sequence[Clip], known: dict[str, _Known]) -> PartPlan | None:
    todo = {}
    for name, facts in known.items():
        ids = frozenset(
            clip.id for clip in clips if clip.id not in facts.done and clip.id not in facts.failed
        )
        if ids:
            todo[name] = Todo(ids, max((facts.again.get(clip_id, 0) for clip_id in ids), default=0))
    wanted = {clip_id for part in todo.values() for clip_id in part.ids}
    return PartPlan(tuple(clip for clip in clips if clip.id in wanted), todo) if todo else None


def _stale_message(name: str, stale: Sequence[str]) -> str:
    shown = ", ".join(map(repr, stale[:5])) + (" …" if len(stale) > 5 else "")
    return (
        f"{len(stale)} clips of recipe {name!r} changed (manifest row or file) since they were "
        f"extracted: {shown}. Add --changed redo to extract them again, or --changed keep."
    )


def forecast_bytes(
    requests: Sequence[Request], tokens: dict[str, dict[str, float]], clips: int
) -> float:
    """Bytes that ``clips`` clips will take.

    Args:
        requests: the backbones.
        tokens: for each recipe and stream, the tokens of a typical clip.
        clips: how many.
    """
    return clips * sum(
        tokens[request.name][stream] * spec.dim * np.dtype(spec.dtype).itemsize
        for request in requests
        for stream, spec in request.recipe.streams.items()
    )
