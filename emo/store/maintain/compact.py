"""Merge small parts into large ones; readers see the same clips at every moment.

New parts are committed like all parts, while the old ones are still there: then each moved clip is
in two parts with the same tokens. Only after that the old parts are removed, the highest name
first, because of equal entries the one with the lowest part name is read. If the process is killed
at any time, the store still holds every clip, and the next run continues. A new part replaces
nothing before it was read back and compared with the old ones bit by bit.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from emo.errors import StoreError, plural
from emo.store.backend.cached_part import local_copy
from emo.store.backend.commit import cannot_write, commit
from emo.store.backend.location import Location
from emo.store.erased_ids import erased_files, read_erased
from emo.store.index.file import index_paths
from emo.store.index.gather import OpenParts
from emo.store.index.merged import Merged
from emo.store.maintain.compact_groups import Moved, PartGroup, Winner, part_groups
from emo.store.maintain.index import make_index
from emo.store.part.members import write_members
from emo.store.part.reader import Part
from emo.store.part.verify import damaged_members
from emo.store.part.writer import PartFacts, part_name
from emo.store.part.zip import DamagedPart
from emo.store.recipe import Recipe, joined_versions
from emo.store.recipe_folder import RecipeFolder


@dataclass(frozen=True)
class CompactReport:
    """Result of compacting one recipe."""

    recipe: str
    """Name of the recipe."""
    before: int
    """Number of parts before compacting."""
    after: int
    """Number of parts after compacting."""
    clips: int
    """Number of finished clips."""
    overlaps: int
    """Number of clips that were in several parts before and are in one part after compacting."""

    def line(self) -> str:
        """Return the result as a line for people."""
        return (
            f"{self.recipe}: {plural(self.before, 'part')} -> {self.after}, "
            f"{plural(self.clips, 'clip')}, {plural(self.overlaps, 'overlap')} removed"
        )


def compact(folder: RecipeFolder, *, progress: bool | None = None) -> CompactReport:
    """Merge the parts of a recipe that are small or hold entries that are not read.

    The disk needs space for the new parts in addition to the old ones.

    Args:
        folder: folder of the recipe; if it has an index, a new one is made.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        StoreError: a part is damaged or does not fit the recipe, the folder cannot be written, or
            a new part is not read as it was written. No old part is removed then.
    """
    erased = erased_files(folder.path.parent)
    folder.refresh()
    clips = folder.parts.merge()
    before = len(clips.parts)
    groups = part_groups(clips, folder.recipe)
    moved = Moved(clips, groups)
    hidden = None if progress is None else not progress
    bar = tqdm(total=sum(len(group.ids) for group in groups), unit="clip", disable=hidden)
    with bar:
        for group in groups:
            for written in _commit(folder, clips, group):
                _take_back_erased(folder, written, erased)
                moved.add(written)
                bar.update(len(written.winners))
    _remove(moved.emptied())
    folder.refresh()
    if index_paths(folder.path):
        make_index(folder, progress=progress)
    return CompactReport(
        folder.name,
        before,
        after=len(folder.part_paths),
        clips=len(folder.ids),
        overlaps=len(clips.winners) - len(folder.parts.merge().winners),
    )


def _take_back_erased(folder: RecipeFolder, group: PartGroup, erased: tuple[str, ...]) -> None:
    """Remove a new part if an erasure of clips of it began meanwhile; it may have missed the part.

    Raises:
        StoreError: it did; no old part is removed by this call.
    """
    if erased_files(folder.path.parent) == erased:
        return
    if read_erased(folder.path.parent).among(group.ids):
        _remove([folder.path / part_name(group.ids, group.attempt)])
        raise StoreError(
            f"{folder.path}: clips were erased while it was compacted; the new part is removed. "
            "Repeat when `emo store erase` has ended"
        )


def _commit(folder: RecipeFolder, clips: Merged, group: PartGroup) -> Iterator[PartGroup]:
    """Commit the part of a group; yield the groups that are in new parts afterwards.

    If the name is taken by an earlier run's equal part, nothing is left to do. If it is taken by an
    old part of the same clips with other entries, the group is cut in two. A group of a single clip
    is then left where it is.
    """
    name = part_name(group.ids, group.attempt)
    facts = _facts(clips.parts, group)
    streams = _streams(folder.recipe, clips.parts, group)

    def write(file: BinaryIO) -> None:
        write_members(file, streams, facts.attributes(folder.recipe))

    path = folder.path / name
    is_first = not path.exists() and commit(folder.path, name, write)
    if _is_same(folder, path, facts, streams):
        yield group
    elif is_first:
        _remove([path])  # readers still have the old parts
        raise StoreError(
            f"{path}: what was read back is not what was written; the new part was removed, and "
            "the old ones are kept. Check the disk or the bucket, then repeat"
        )
    elif len(group.winners) > 1:
        for some in (group.winners[:-1], group.winners[-1:]):
            half = PartGroup(group.attempt)
            for winner in some:
                half.take(winner)
            yield from _commit(folder, clips, half)


def _facts(parts: Sequence[Part], group: PartGroup) -> PartFacts:
    """Collect what the old parts record about the clips of a group."""
    finished: list[str] = []
    failures: dict[str, str] = {}
    sources: dict[str, str] = {}
    absent: dict[str, dict[str, str]] = {}
    notes: dict[str, dict[str, float]] = {}
    said = {index: parts[index].sources for index in {winner.part for winner in group.winners}}
    for winner in group.winners:
        clip_id, part = winner.clip_id, parts[winner.part]
        sources[clip_id] = said[winner.part][clip_id]
        if winner.row is None:
            failures[clip_id] = part.failures[clip_id]
            continue
        finished.append(clip_id)
        if clip_id in part.absent:
            absent[clip_id] = part.absent[clip_id]
        if clip_id in part.notes:
            notes[clip_id] = part.notes[clip_id]
    used = dict.fromkeys(winner.part for winner in group.winners)
    versions = joined_versions(parts[index].versions for index in used)
    return PartFacts(group.attempt, finished, failures, sources, absent, notes, versions)


def _is_same(folder: RecipeFolder, path: Location, facts: PartFacts, streams: "_Streams") -> bool:
    """Return whether a part, read from its file or bucket, holds exactly what was to be written."""
    with local_copy(path) as file:  # from a bucket: its own bytes, not those in the cache
        try:
            part = Part(file)
            if part.specs != folder.recipe.stored_specs or next(damaged_members(part), None):
                return False
            return _holds(part, facts, streams)
        except DamagedPart as error:
            if error.path != file:
                raise  # one of the old parts, which are read again here
            return False


def _holds(part: Part, facts: PartFacts, streams: "_Streams") -> bool:
    """Return whether the facts and tokens of a part are the given ones, bit by bit."""
    if (part.clip_ids, part.failures) != (facts.clip_ids, facts.failures):
        return False
    if (part.sources, part.absent, part.notes) != (facts.sources, facts.absent, facts.notes):
        return False
    for name, (tokens, lengths) in streams.items():
        there, row = part.read(name), 0
        if there.lengths.tolist() != lengths:
            return False
        for array in tokens:
            if there.values[row : row + len(array)].tobytes() != array.tobytes():
                return False
            row += len(array)
    return True


def _streams(recipe: Recipe, parts: Sequence[Part], group: PartGroup) -> "_Streams":
    """Return the tokens of a group by stream; they are read when they are iterated over."""
    opened, streams = OpenParts(), {}
    for name in recipe.streams:
        runs, lengths = _runs(parts, group.winners, name)
        streams[name] = (_Tokens(parts, name, runs, opened), lengths)
    return streams


_Run = tuple[int, int, int]
"""Adjacent rows: index of a part, first row and row past the last in it."""


def _runs(
    parts: Sequence[Part], winners: Sequence[Winner], stream: str
) -> tuple[list[_Run], list[int]]:
    """Return the runs of rows that make up a stream of the new part, and each clip's length."""
    runs: list[_Run] = []
    lengths: list[int] = []
    for winner in winners:
        if winner.row is None:
            continue
        start, stop = parts[winner.part].layout(stream).offsets[winner.row :][:2].tolist()
        lengths.append(stop - start)
        if runs and runs[-1][0] == winner.part and runs[-1][2] == start:
            runs[-1] = (winner.part, runs[-1][1], stop)
        elif stop > start:
            runs.append((winner.part, start, stop))
    return runs, lengths


@dataclass(frozen=True)
class _Tokens:
    """The tokens of a stream in old parts, mapped and verified while they are iterated over."""

    parts: Sequence[Part]
    stream: str
    runs: Sequence[_Run]
    opened: OpenParts

    def __iter__(self) -> Iterator[np.ndarray]:
        for index, start, stop in self.runs:
            part = self.parts[index]
            values = self.opened.values(part, self.stream)
            part.check(self.stream, start, stop)
            yield values[start:stop]


_Streams = dict[str, tuple[_Tokens, list[int]]]
"""Stream -> tokens of the stream, and the number of tokens of each finished clip."""


def _remove(paths: Iterable[Location]) -> None:
    """Delete parts that are not needed any more."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path.parent, error) from error
