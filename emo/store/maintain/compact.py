"""Merges the small parts of a recipe into few, without a moment at which the store reads otherwise.

New parts are committed as all parts are, while the old ones are still there: every clip of theirs
then stands in two parts with the same tokens. Only then old parts are removed, the highest name
first, because among entries that are equal in all else the lowest name is read. Killed anywhere,
the store holds every clip, and the next run goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from emo.store.backend.commit import cannot_write, commit
from emo.store.backend.location import Location
from emo.store.index.file import index_paths
from emo.store.index.gather import OpenParts
from emo.store.index.merged import Merged
from emo.store.maintain.compact_groups import Moved, PartGroup, Winner, part_groups
from emo.store.maintain.index import make_index
from emo.store.part.members import write_members
from emo.store.part.reader import Part
from emo.store.part.writer import PartFacts, part_name
from emo.store.recipe import Recipe
from emo.store.recipe_folder import RecipeFolder


@dataclass(frozen=True)
class CompactReport:
    """What became of the parts of a recipe."""

    recipe: str
    before: int
    """Parts."""
    after: int
    clips: int
    overlaps: int
    """Clips that stood in several parts and stand in one now."""

    def line(self) -> str:
        """For people."""
        return (
            f"{self.recipe}: {self.before} parts -> {self.after}, {self.clips} clips, "
            f"{self.overlaps} overlaps removed"
        )


def compact(folder: RecipeFolder, *, progress: bool | None = None) -> CompactReport:
    """Merge the parts of a recipe that are small or hold entries that nobody reads.

    The disk needs room for the new parts beside the old ones.

    Args:
        folder: of the recipe; an index that it has is made anew.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        StoreError: a part is damaged, or the folder cannot be written. Nothing is lost then.
    """
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


def _commit(folder: RecipeFolder, clips: Merged, group: PartGroup) -> Iterator[PartGroup]:
    """Commit the part of a group; yields what stands in new parts afterwards.

    The name may be taken by what an earlier run committed, or by an old part of the same clips
    whose entries lose elsewhere: then the group is cut in two. A single clip stays where it is.
    """
    name = part_name(group.ids, group.attempt)
    facts = _facts(clips.parts, group)
    streams = _streams(folder.recipe, clips.parts, group)

    def write(file: BinaryIO) -> None:
        write_members(file, streams, facts.attributes(folder.recipe))

    path = folder.path / name
    is_first = not path.exists() and commit(folder.path, name, write)
    if is_first or _is_same(Part(path), facts, streams):
        yield group
    elif len(group.winners) > 1:
        for some in (group.winners[:-1], group.winners[-1:]):
            half = PartGroup(group.attempt)
            for winner in some:
                half.take(winner)
            yield from _commit(folder, clips, half)


def _facts(parts: Sequence[Part], group: PartGroup) -> PartFacts:
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
    return PartFacts(group.attempt, finished, failures, sources, absent, notes)


def _is_same(part: Part, facts: PartFacts, streams: "_Streams") -> bool:
    """Whether a part holds just what was to be written, to the bit."""
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
    opened, streams = OpenParts(), {}
    for name in recipe.streams:
        runs, lengths = _runs(parts, group.winners, name)
        streams[name] = (_Tokens(parts, name, runs, opened), lengths)
    return streams


_Run = tuple[int, int, int]
"""Index of a part, first row and row past the last in it."""


def _runs(
    parts: Sequence[Part], winners: Sequence[Winner], stream: str
) -> tuple[list[_Run], list[int]]:
    """Stretches of rows to lay end to end, and the length of each finished clip."""
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
"""By name, the tokens and the length of each finished clip."""


def _remove(paths: Iterable[Location]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path.parent, error) from error
