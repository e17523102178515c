"""Verify every byte of a store, rename damaged parts, remove leftover files, summarise streams."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emo.errors import StoreError, line_of, plural
from emo.store.adapted import seen_problems
from emo.store.backend.cached_part import local_copy
from emo.store.backend.commit import LOCK, TEMPORARY, cannot_write, is_abandoned
from emo.store.backend.location import Location, file_names
from emo.store.index.file import index_paths, index_problem, remove
from emo.store.index.merged import Merged
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.zip import DamagedPart, GoneError
from emo.store.recipe import Recipe
from emo.store.recipe_folder import RecipeFolder
from emo.store.store import Store

QUARANTINED = "quarantined-"
"""Start of the name of a damaged part after it was set aside."""


@dataclass(frozen=True)
class StoreProblem:
    """A problem of one part or index."""

    part: Location
    """File of the part, the index or the list of clips that the weights saw."""
    text: str
    """What is wrong with the file, as a sentence."""


@dataclass(frozen=True)
class RecipeReport:
    """Result of verifying one recipe."""

    recipe: str
    """Name of the recipe."""
    parts: int
    clips: int
    """Number of finished clips in the parts that could be opened, each counted once."""
    failures: int
    """Number of failed clips, without tokens, in the parts that could be opened."""
    overlaps: int
    """Number of clips that are in several parts; this is no problem, because the winning entry is
    read."""
    problems: tuple[StoreProblem, ...]
    quarantined: tuple[Location, ...]
    """New names of the damaged parts that were set aside."""

    def line(self) -> str:
        """Return the result as a line for people."""
        outcome = plural(len(self.problems), "problem") if self.problems else "ok"
        counts = [
            plural(self.parts, "part"), plural(self.clips, "clip"),
            plural(self.failures, "failure"), plural(self.overlaps, "overlap"),
        ]  # fmt: skip
        return f"{self.recipe}: {', '.join(counts)}: {outcome}"


@dataclass(frozen=True)
class VerifyReport:
    """Result of verifying a store."""

    recipes: tuple[RecipeReport, ...]

    @property
    def problems(self) -> list[tuple[Location, str]]:
        """Part and problem, for all problems of all recipes."""
        return [(one.part, one.text) for report in self.recipes for one in report.problems]

    def table(self) -> str:
        """Return the result as text: a line for each recipe, then its problems."""
        lines = []
        for report in self.recipes:
            lines.append(report.line())
            lines += [f"  {problem.part}: {problem.text}" for problem in report.problems]
            lines += [f"  set aside as {path}" for path in report.quarantined]
        if self.problems and not any(report.quarantined for report in self.recipes):
            lines.append("Repeat with --quarantine to set these parts aside, then `emo extract`.")
        return "\n".join(map(line_of, lines)) or "no recipes"


@dataclass(frozen=True)
class CleanReport:
    """Result of removing the files that stopped writers had left."""

    removed: tuple[tuple[Location, int], ...]
    """Removed files and their sizes in bytes."""
    kept: tuple[Location, ...]
    """Files whose process may still be running."""

    def table(self) -> str:
        """Return the result as text, a line for each file."""
        lines = [f"removed {path} ({size} bytes)" for path, size in self.removed]
        lines += [f"kept {path}: its process may still be running" for path in self.kept]
        return "\n".join(map(line_of, lines)) or "nothing to clean"


def verify(store: Store, *, quarantine: bool = False, progress: bool | None = None) -> VerifyReport:
    """Read every byte of a store and find everything that is damaged or contradictory.

    Args:
        store: the store; opening it reads no part, so it opens even if parts are damaged.
        quarantine: rename damaged parts, so that they are not read and `emo extract` makes their
            clips again.
        progress: show bars; None: when stderr is a terminal.

    Raises:
        StoreError: a damaged part cannot be renamed.
    """
    is_hidden = None if progress is None else not progress
    reports = (_verify(folder, quarantine, is_hidden) for folder in store.recipes.values())
    return VerifyReport(tuple(reports))


def clean(store: Store) -> CleanReport:
    """Remove temporary files and locks of processes that do not run any more.

    Files of other machines are removed when they are older than a day. Files that this user may not
    remove are kept.

    Raises:
        StoreError: a file cannot be removed.
    """
    removed, kept = [], []
    for folder in store.recipes.values():
        for name in file_names(folder.path):
            if not name.startswith((TEMPORARY, LOCK)):
                continue
            path = folder.path / name
            try:
                if is_abandoned(path):
                    removed.append((path, path.stat().st_size))
                    path.unlink()
                else:
                    kept.append(path)
            except FileNotFoundError:
                continue  # its process, or another `emo store clean`, has removed it
            except PermissionError:
                kept.append(path)  # of another user, who can remove it
            except OSError as error:
                raise cannot_write(folder.path, error) from error
    return CleanReport(tuple(removed), tuple(kept))


def summary(store: Store) -> list[dict[str, object]]:
    """Return a table row for each stream, for `emo store ls`.

    ``clips`` is the number of clips that have the stream, ``bytes`` the stored size of its tokens;
    ``parts`` and ``failures`` are of the whole recipe.
    """
    rows: list[dict[str, object]] = []
    for name, folder in store.recipes.items():
        for stream, spec in folder.recipe.streams.items():
            lengths = folder.lengths(stream)
            tokens = int(lengths.sum())
            rows.append(
                {
                    "recipe": name,
                    "stream": stream,
                    "clips": int(np.count_nonzero(lengths)),
                    "tokens": tokens,
                    "dim": spec.dim,
                    "dtype": spec.dtype,
                    "bytes": tokens * spec.dim * np.dtype(spec.dtype).itemsize,
                    "parts": len(folder.part_paths),
                    "failures": len(folder.failures),
                }
            )
    return rows


def _verify(folder: RecipeFolder, quarantine: bool, is_hidden: bool | None) -> RecipeReport:
    """Verify all parts and indices of one recipe."""
    folder.refresh()
    parts: dict[Location, Part] = {}
    problems: list[StoreProblem] = []
    quarantined: list[Location] = []
    for path in _each_part(folder, is_hidden):
        try:
            part, found = _check(path, folder.recipe)
        except (GoneError, FileNotFoundError):
            continue  # compacted meanwhile: its clips are in a part that comes later in this loop
        problems += [StoreProblem(path, text) for text in found]
        if found and quarantine:
            quarantined.append(_set_aside(path))
        elif part is not None and _is_known(part):
            parts[path] = part
    damaged = {problem.part for problem in problems}
    for path in index_paths(folder.path):
        named = {part.name: opened for part, opened in parts.items()}
        found = [text for text in [index_problem(path, named, folder.recipe.streams)] if text]
        problems += [StoreProblem(path, text) for text in found]
        if quarantine and (found or quarantined):  # a part may come back under the same name
            remove([path])
    for path, text in seen_problems(folder.path, folder.recipe):
        problems.append(StoreProblem(path, text))
        if quarantine and path.exists():
            quarantined.append(_set_aside(path))
    folder.refresh()
    there = set(folder.part_paths)
    parts = {path: part for path, part in parts.items() if path in there}
    merged = Merged([*parts.values()])
    return RecipeReport(
        folder.name,
        len(parts.keys() | damaged),
        clips=len(merged.ids),
        failures=len(merged.failures),
        overlaps=len(merged.winners),
        problems=tuple(problems),
        quarantined=tuple(quarantined),
    )


def _is_known(part: Part) -> bool:
    """Return whether the attributes of a part can be read, so that its clips can be counted."""
    try:
        _ = (part.sources, part.absent, part.notes)
    except DamagedPart:
        return False
    return True


def _each_part(folder: RecipeFolder, is_hidden: bool | None) -> Iterator[Location]:
    """Iterate over all parts; if some are compacted meanwhile, over the new parts, too."""
    seen: set[Location] = set()
    while todo := [path for path in folder.part_paths if path not in seen]:
        seen.update(todo)
        yield from tqdm(todo, desc=folder.name, unit="part", disable=is_hidden)
        folder.refresh()
        if seen <= set(folder.part_paths):
            break


def _check(path: Location, recipe: Recipe) -> tuple[Part | None, list[str]]:
    """Open a part anew; return it (None if it cannot be opened) and its problems."""
    with local_copy(path) as file:  # from a bucket: its own bytes, not those in the cache
        return _check_file(file, recipe)


def _check_file(file: Path, recipe: Recipe) -> tuple[Part | None, list[str]]:
    try:
        part = Part(file)
    except DamagedPart as error:
        return None, [error.what]
    if part.fingerprint != recipe.fingerprint:
        return None, [f"it is of recipe {part.fingerprint}, not {recipe.fingerprint}"]
    if part.specs != recipe.stored_specs:
        return None, [recipe.other_streams(part.specs)]
    found = problems(part)
    part.release()
    return part, found


def _set_aside(path: Location) -> Location:
    """Rename a damaged part so that it is not read any more; return its new path."""
    target, copies = path.with_name(QUARANTINED + path.name), 1
    while target.exists():
        copies += 1
        target = path.with_name(f"{QUARANTINED}{copies}-{path.name}")
    try:
        return path.rename(target)  # type: ignore[arg-type] # of the same kind
    except OSError as error:
        raise StoreError(f"{path} cannot be set aside: {error.strerror}") from error
