"""The plan: which clips the store lacks, divided into parts.

A clip is done when its id is in a committed part of the store. Parts are cut from the whole
manifest and finished clips are left out afterwards, so that two plans of one manifest have equal
boundaries.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise, takewhile
from typing import Literal

import numpy as np

from emo.errors import EmoError, plural
from emo.extract.decode.source import source_hash
from emo.extract.job.request import Job, Request
from emo.machine.untrusted.addresses import Address, is_url, parse_address
from emo.manifest import Clip
from emo.store.store import RecipeFolder

Changed = Literal["stop", "redo", "keep"]
"""What to do with clips whose row or file changed since they were extracted (``--changed``)."""


class StaleClips(EmoError):
    """Raised when the row or a file of clips changed since their extraction, under the same id."""

    def __init__(self, what: str) -> None:
        """Say what changed, and which options of `emo extract` help."""
        super().__init__(
            f"{what}. Add --changed redo to extract them again, or --changed keep to keep their "
            "tokens."
        )
        self.what = what


@dataclass(frozen=True)
class Todo:
    """Clips of a part that one recipe lacks."""

    ids: frozenset[str]
    """Ids of the clips that the recipe lacks."""
    attempt: int = 0
    """Number of this attempt: 0 if no clip was tried before; K if a clip is tried for the K-th time
    again."""


@dataclass(frozen=True)
class PartPlan:
    """A part: clips that one worker does and commits together."""

    clips: tuple[Clip, ...]
    """Clips that at least one recipe lacks, in the order of the manifest."""
    todo: dict[str, Todo]
    """Recipe name -> clips of the part that the recipe lacks; in a job that makes files, name of
    the part's file -> its clips."""
    objects: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Objects in buckets that the clips name when the part is read from a job folder: URL -> size
    and ETag when the job was planned."""
    columns: frozenset[str] = frozenset()
    """Columns of the manifest that workers need besides the media, such as ``dialogue``."""

    def only(self, ids: Collection[str]) -> "PartPlan":
        """Return the plan for some of the part's clips."""
        todo = {
            name: replace(wanted, ids=wanted.ids & set(ids)) for name, wanted in self.todo.items()
        }
        kept = tuple(clip for clip in self.clips if clip.id in ids)
        todo = {name: wanted for name, wanted in todo.items() if wanted.ids}
        return PartPlan(kept, todo, self.objects)


@dataclass(frozen=True)
class Plan:
    """The parts to do, and what the store has already."""

    parts: Sequence[PartPlan]
    """Parts with missing clips; each is built when it is read, so that a plan of ten million clips
    takes little memory."""
    done: dict[str, int]
    """Recipe name -> number of the manifest's clips that the recipe has already."""
    failed: dict[str, dict[str, str]]
    """Recipe name -> id of a clip recorded as failed and not tried again now -> reason."""

    @property
    def clips(self) -> int:
        """Number of clips to decode."""
        return sum(len(part.clips) for part in self.parts)


@dataclass(frozen=True)
class Redo:
    """Which clips that the store has already are done again."""

    failed: bool = False
    """Whether clips recorded as failed are tried again (``--retry-failed``)."""
    changed: Changed = "stop"
    """Clips whose row or file changed (``--changed``): ``stop`` with an error, ``redo`` or ``keep``
    them."""


def make_plan(
    job: Job,
    folders: Mapping[str, RecipeFolder | None],
    clips: Sequence[Clip],
    *,
    part_clips: int,
    redo: Redo = Redo(),
) -> Plan:
    """Find what each recipe lacks and divide it into parts.

    Args:
        job: the backbones and the root of the clips' paths.
        folders: recipe name -> its folder in the store; None: the recipe does not exist yet.
        clips: all clips of the manifest, in its order.
        part_clips: most clips of a part.
        redo: which clips that the store has already are done again.

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
    """Return the ids of ``wanted`` that a recipe lacked when its folder was last listed."""
    attempts = folder.attempts
    return frozenset(
        clip_id for clip_id in wanted.ids if attempts.get(clip_id, -1) < wanted.attempt
    )


def by_file(clips: Sequence[Clip]) -> Sequence[Clip]:
    """Reorder clips so that those of one file or tar shard follow one another.

    One worker then decodes the clips of a file in one pass, in the order of their start, and reads
    a shard once, from its start to its end. They take the position of the first clip of the file or
    shard; all other clips keep the manifest's order.
    """
    if all(clip.start_seconds is None and shard_of(clip) is None for clip in clips):
        return clips  # avoids a copy of ten million clips
    first: dict[str, int] = {}
    order = []
    for index, clip in enumerate(clips):
        file, address = clip.video or clip.audio, _address(clip)
        if address.member is not None:
            at = first.setdefault(address.file, index)
            within = first.setdefault(f"{address.file}!{address.member}", index)
            within = within if address.offset is None else address.offset
            order.append((at, within, clip.start_seconds or 0.0, index))
        elif clip.start_seconds is None or file is None:
            order.append((index, 0, 0.0, index))
        else:
            order.append((first.setdefault(file, index), 0, clip.start_seconds, index))
    if all(low < high for low, high in pairwise(order)):
        return clips
    return [clips[each[-1]] for each in sorted(order)]


def shard_of(clip: Clip) -> str | None:
    """Return the path or URL of the tar shard that holds a clip's video, or else audio."""
    cell = clip.video or clip.audio or ""
    if "!" not in cell:  # most clips of most manifests
        return None
    address = parse_address(cell)
    return None if address.member is None else address.file


def probed_clips(clips: Sequence[Clip], count: int) -> Sequence[Clip]:
    """Return about ``count`` clips evenly from all; of tar shards, those of the first one.

    Of a far shard in which the members must be searched none is returned: all of it would be read.
    """
    if clips and (shard := shard_of(clips[0])) is not None:
        if is_url(shard) and _address(clips[0]).offset is None:
            return ()
        clips = tuple(takewhile(lambda clip: shard_of(clip) == shard, clips))
    return clips[:: max(1, len(clips) // count)]


def _address(clip: Clip) -> Address:
    return parse_address(clip.video or clip.audio or "")


def part_starts(clips: Sequence[Clip], part_clips: int) -> Sequence[int]:
    """Return where the parts begin: after every ``part_clips`` clips, sooner for tar shards.

    A shard whose clips fit into one part is not divided, so that one worker reads it once.

    Args:
        clips: all clips, in the order of :func:`by_file`.
        part_clips: most clips of a part.
    """
    if not any(map(shard_of, clips)):
        return range(0, len(clips), part_clips)
    starts, index = [0], 0
    for shard, run in groupby(map(shard_of, clips)):
        count = sum(1 for _ in run)
        if shard is not None and index > starts[-1] and index + count - starts[-1] > part_clips:
            starts.append(index)
        index += count
        while index - starts[-1] > part_clips:
            starts.append(starts[-1] + part_clips)
    return starts


@dataclass(frozen=True)
class _Known:
    """Clips of the manifest that a recipe has already, and clips that it shall do again."""

    done: frozenset[str]
    """Ids of the clips that the recipe has."""
    failed: dict[str, str]
    """Id of a clip that is recorded as failed and not tried again -> reason."""
    again: dict[str, int]
    """Id of a clip to do again -> number of the coming attempt."""

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
    """Parts with missing clips; each is cut from the manifest when it is read."""

    def __init__(self, clips: Sequence[Clip], known: dict[str, _Known], part_clips: int) -> None:
        self._clips, self._known = clips, known
        starts = part_starts(clips, part_clips)
        ends = (*starts[1:], len(clips))[: len(starts)]  # none without clips
        self._bounds = [
            (start, end)
            for start, end in zip(starts, ends, strict=True)
            if self._at(start, end) is not None
        ]

    def __len__(self) -> int:
        return len(self._bounds)

    def __getitem__(self, part: int) -> PartPlan:  # type: ignore[override]
        found = self._at(*self._bounds[part])
        assert found is not None  # _bounds contains only parts with missing clips
        return found

    def _at(self, start: int, end: int) -> PartPlan | None:
        return _cut(self._clips[start:end], self._known)


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
        f"{plural(len(stale), 'clip')} of recipe {name!r} changed (manifest row or file) since "
        f"extraction: {shown}"
    )


def forecast_bytes(
    requests: Sequence[Request], tokens: dict[str, dict[str, float]], clips: int
) -> float:
    """Return the expected size of some clips' tokens in bytes.

    Args:
        requests: the backbones.
        tokens: recipe name -> stream -> number of tokens of a typical clip.
        clips: number of clips.
    """
    return clips * sum(
        tokens[request.name][stream] * spec.dim * np.dtype(spec.dtype).itemsize
        for request in requests
        for stream, spec in request.recipe.streams.items()
    )
