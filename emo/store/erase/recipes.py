"""Take clips out of the parts, the index and the lists of one recipe of a store."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from emo.errors import StoreError
from emo.store.adapted import FACT, SEEN_FILE, SeenClips, expected_file
from emo.store.backend.cached_part import local_copy
from emo.store.backend.commit import commit
from emo.store.backend.location import Location, file_names
from emo.store.erase.edits import ErasedClips
from emo.store.erase.files import remove_file, replace_file
from emo.store.index.file import MappedColumns, index_paths
from emo.store.index.table import strings_of
from emo.store.maintain.index import make_index
from emo.store.part.members import write_members
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.writer import PartFacts, part_name
from emo.store.part.zip import GoneError
from emo.store.recipe import RECIPE_FILE
from emo.store.recipe_folder import RecipeFolder


def parts_with(folder: RecipeFolder, clips: ErasedClips) -> list[Part]:
    """Return the parts that hold an entry of one of the clips, as the folder is now.

    Raises:
        StoreError: a part is damaged, so that nobody knows which clips it holds.
    """
    folder.refresh()
    found = []
    for path in folder.part_paths:
        try:
            part = folder.parts.open(path)
        except GoneError:
            continue  # compacted meanwhile; the caller lists again
        if not clips.ids.isdisjoint(part.clip_ids) or not clips.ids.isdisjoint(part.failures):
            found.append(part)
    return found


def rows_of(part: Part, clips: ErasedClips, *, of_erased: bool) -> Iterator[np.ndarray]:
    """Yield the tokens (T, D) of each erased clip of a part, or of the others, run by run."""
    for stream in part.specs:
        values, offsets = part.values(stream), part.layout(stream).offsets
        runs = _runs(part, clips, offsets, of_erased=of_erased, is_joined=not of_erased)
        for start, stop in runs:
            part.check(stream, start, stop)
            yield values[start:stop]


def rewrite_parts(folder: RecipeFolder, clips: ErasedClips) -> None:
    """Replace every part that holds the clips by one without them, until none does.

    The new part is committed and read back before the old one is removed: readers and a repeat
    after a kill find every other clip at each moment.

    Raises:
        StoreError: a part is damaged, or the folder cannot be written.
    """
    while held := parts_with(folder, clips):
        for part in held:
            _commit_rest(folder, part, clips)
            part.release()
            remove_file(part.path)


def _commit_rest(folder: RecipeFolder, part: Part, clips: ErasedClips) -> None:
    """Commit a part with the other clips of a part; nothing if there are none."""
    finished = [clip_id for clip_id in part.clip_ids if clip_id not in clips.ids]
    failures = {k: why for k, why in part.failures.items() if k not in clips.ids}
    if not finished and not failures:
        return
    sources, absent, notes = part.sources, part.absent, part.notes
    facts = PartFacts(
        part.attempt, finished, failures,
        {k: sources[k] for k in (*finished, *failures)},
        {k: absent[k] for k in finished if k in absent},
        {k: notes[k] for k in finished if k in notes},
        part.versions,
    )  # fmt: skip
    kept = [k for k, clip_id in enumerate(part.clip_ids) if clip_id not in clips.ids]
    streams = {}
    for name in folder.recipe.streams:
        offsets = part.layout(name).offsets
        runs = list(_runs(part, clips, offsets, of_erased=False))
        streams[name] = (_Tokens(part, name, runs), np.diff(offsets)[kept].tolist())

    def write(file: BinaryIO) -> None:
        write_members(file, streams, facts.attributes(folder.recipe))

    path = folder.path / part_name([*finished, *failures], part.attempt)
    is_first = commit(folder.path, path.name, write)
    with local_copy(path) as file:  # from a bucket: its own bytes, not those in the cache
        new = Part(file)
        wrong = problems(new)
        if not wrong and new.sources.keys() != facts.sources.keys():
            wrong = ["it has other clips"]
        new.release()
    if wrong:
        if is_first:
            remove_file(path)
        raise StoreError(
            f"{path}: {wrong[0]}; {part.path.name} is kept, the clips in it are not erased. Check "
            "the disk (or `emo store verify --quarantine`), then repeat"
        )


def _runs(
    part: Part, clips: ErasedClips, offsets: np.ndarray, *, of_erased: bool, is_joined: bool = True
) -> Iterator[tuple[int, int]]:
    """Yield first and stop row of clips that are erased, or that are not; neighbours joined."""
    ends, start, stop = offsets.tolist(), 0, 0
    for row, clip_id in enumerate(part.clip_ids):
        if (clip_id in clips.ids) is not of_erased:
            continue
        if ends[row] != stop or not is_joined:
            if stop > start:
                yield start, stop
            start = ends[row]
        stop = ends[row + 1]
    if stop > start:
        yield start, stop


@dataclass(frozen=True)
class _Tokens:
    """Tokens of a stream of one part, verified while they are iterated over, as often as wanted."""

    part: Part
    stream: str
    runs: Sequence[tuple[int, int]]

    def __iter__(self) -> Iterator[np.ndarray]:
        values = self.part.values(self.stream)
        for start, stop in self.runs:
            self.part.check(self.stream, start, stop)
            yield values[start:stop]


def index_ids(path: Location) -> Iterator[str]:
    """Yield the ids and reasons in an index, also of one that is out of date.

    Raises:
        StoreError: the index is damaged.
    """
    try:
        columns = MappedColumns(Part(path))
        for name in ("id", "failed", "reason"):
            yield from strings_of(columns, name)
    except (ValueError, IndexError, KeyError) as error:
        raise StoreError(f"{path}: the index is damaged: {error}") from error


def has_outdated_index(folder: RecipeFolder, clips: ErasedClips) -> bool:
    """Return whether an index of a recipe holds one of the clips, or cannot be read."""
    for path in index_paths(folder.path):
        try:
            if not clips.ids.isdisjoint(index_ids(path)):
                return True
        except StoreError:
            return True
    return False


def renew_index(folder: RecipeFolder) -> None:
    """Make the index of a recipe anew and remove all older ones.

    Raises:
        StoreError: the folder cannot be written.
    """
    make_index(folder, progress=False)
    for path in index_paths(folder.path)[1:]:
        remove_file(path)


def seen_lists(folder: Location, clips: ErasedClips) -> list[tuple[Location, SeenClips]]:
    """Return the lists of clips that adapted weights saw which name one of the clips."""
    found = []
    for name in file_names(folder):
        if re.fullmatch(SEEN_FILE, name):
            seen = SeenClips.parse((folder / name).read_bytes())
            if any(not clips.ids.isdisjoint(ids) for ids in seen.ids.values()):
                found.append((folder / name, seen))
    return found


def shorten_seen_lists(folder: RecipeFolder, clips: ErasedClips) -> None:
    """Take the clips out of the lists of what adapted weights saw; recipe.json names the new list.

    The fingerprint of the recipe does not cover the list. Order: new list, recipe.json, old list.
    """
    expected = expected_file(folder.recipe)
    for path, seen in seen_lists(folder.path, clips):
        kept = SeenClips.of(
            {split: [k for k in ids if k not in clips.ids] for split, ids in seen.ids.items()}
        )
        data = kept.to_bytes()
        commit(folder.path, kept.file_name, partial(_put, data))
        if path.name == expected:
            recipe_file = folder.path / RECIPE_FILE
            document = json.loads(recipe_file.read_bytes())
            document["facts"] = {**document.get("facts", {}), FACT: kept.facts}
            written = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            replace_file(recipe_file, written.encode())
        remove_file(path)


def _put(data: bytes, file: BinaryIO) -> None:
    file.write(data)


def recipe_folders(files: Iterable[Location]) -> list[RecipeFolder]:
    """Return the recipes among some files: each folder that holds a readable ``recipe.json``."""
    found = []
    for path in files:
        if path.name == RECIPE_FILE and not any(
            name.startswith(".") for name in _inner_names(path)
        ):
            try:
                found.append(RecipeFolder(path.parent))
            except StoreError:
                continue  # a file of another program; it is treated like any document
    return found


def _inner_names(path: Location) -> Sequence[str]:
    return path.parts[-2:-1] if isinstance(path, Path) else [path.parent.name]
