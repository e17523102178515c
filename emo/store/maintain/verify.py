"""Looks after a store: verifies every byte, sets damaged parts aside, sweeps leftovers, sums up."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emo.errors import StoreError
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
"""How the name of a damaged part starts once it was set aside."""


@dataclass(frozen=True)
class StoreProblem:
    """Something wrong with a part."""

    part: Location
    text: str


@dataclass(frozen=True)
class RecipeReport:
    """What was found in one recipe."""

    recipe: str
    parts: int
    clips: int
    """Finished clips, each once, in the parts that could be opened."""
    failures: int
    """Clips without tokens there."""
    overlaps: int
    """Clips in several of these parts, of which the winning entry is read: no problem."""
    problems: tuple[StoreProblem, ...]
    quarantined: tuple[Location, ...]
    """Where damaged parts went."""

    def line(self) -> str:
        """For people."""
        verdict = f"{len(self.problems)} problems" if self.problems else "ok"
        return (
            f"{self.recipe}: {self.parts} parts, {self.clips} clips, {self.failures} failures, "
            f"{self.overlaps} overlaps: {verdict}"
        )


@dataclass(frozen=True)
class VerifyReport:
    """What was found in a store."""

    recipes: tuple[RecipeReport, ...]

    @property
    def problems(self) -> list[tuple[Location, str]]:
        """Of all recipes: the part, and what is wrong with it."""
        return [(one.part, one.text) for report in self.recipes for one in report.problems]

    def table(self) -> str:
        """For people: a line a recipe, then its problems."""
        lines = []
        for report in self.recipes:
            lines.append(report.line())
            lines += [f"  {problem.part}: {problem.text}" for problem in report.problems]
            lines += [f"  set aside as {path}" for path in report.quarantined]
        if self.problems and not any(report.quarantined for report in self.recipes):
            lines.append("Repeat with --quarantine to set these parts aside, then `emo extract`.")
        return "\n".join(lines) or "no recipes"


@dataclass(frozen=True)
class CleanReport:
    """What stopped writers had left behind."""

    removed: tuple[tuple[Location, int], ...]
    """Files and their sizes in bytes."""
    kept: tuple[Location, ...]
    """Files whose owner may be at work."""

    def table(self) -> str:
        """For people."""
        lines = [f"removed {path} ({size} bytes)" for path, size in self.removed]
        lines += [f"kept {path}: its owner may be at work" for path in self.kept]
        return "\n".join(lines) or "nothing to clean"


def verify(store: Store, *, quarantine: bool = False, progress: bool | None = None) -> VerifyReport:
    """Read every byte of a store and compare it with every promise.

    Args:
        store: opening it looks into no part, so that damaged ones are no obstacle.
        quarantine: rename damaged parts, so that nobody reads them and `emo extract` redoes them.
        progress: show bars; None: when stderr is a terminal.

    Raises:
        StoreError: a damaged part cannot be renamed.
    """
    is_hidden = None if progress is None else not progress
    reports = (_verify(folder, quarantine, is_hidden) for folder in store.recipes.values())
    return VerifyReport(tuple(reports))


def clean(store: Store) -> CleanReport:
    """Remove temporary files and locks whose owners are dead.

    Of this machine's processes it is known which live; another machine's files go when they are
    older than a day.

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
                continue  # its owner, or another sweeper, was quicker
            except OSError as error:
                raise cannot_write(folder.path, error) from error
    return CleanReport(tuple(removed), tuple(kept))


def summary(store: Store) -> list[dict[str, object]]:
    """A row a stream for `emo store ls`.

    ``clips`` counts those that have the stream, ``bytes`` its tokens as stored, ``parts`` and
    ``failures`` those of the recipe.
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
    folder.refresh()
    parts: dict[Location, Part] = {}
    problems: list[StoreProblem] = []
    quarantined: list[Location] = []
    for path in _each_part(folder, is_hidden):
        try:
            part, found = _look(path, folder.recipe)
        except (GoneError, FileNotFoundError):
            continue  # compacted meanwhile: its clips stand in a part that is still to come
        problems += [StoreProblem(path, text) for text in found]
        if found and quarantine:
            quarantined.append(_set_aside(path))
        elif part is not None:
            parts[path] = part
    at_fault = {problem.part for problem in problems}
    for path in index_paths(folder.path):
        found = [text for text in [index_problem(path)] if text]
        problems += [StoreProblem(path, text) for text in found]
        if quarantine and (found or quarantined):  # a part may come back under the same name
            remove([path])
    folder.refresh()
    there = set(folder.part_paths)
    parts = {path: part for path, part in parts.items() if path in there}
    merged = Merged([*parts.values()])
    return RecipeReport(
        folder.name,
        len(parts.keys() | at_fault),
        clips=len(merged.ids),
        failures=len(merged.failures),
        overlaps=len(merged.winners),
        problems=tuple(problems),
        quarantined=tuple(quarantined),
    )


def _each_part(folder: RecipeFolder, is_hidden: bool | None) -> Iterator[Location]:
    """All parts; when some go meanwhile, also those that `emo store compact` made of them."""
    seen: set[Location] = set()
    while todo := [path for path in folder.part_paths if path not in seen]:
        seen.update(todo)
        yield from tqdm(todo, desc=folder.name, unit="part", disable=is_hidden)
        folder.refresh()
        if seen <= set(folder.part_paths):
            break


def _look(path: Location, recipe: Recipe) -> tuple[Part | None, list[str]]:
    """The part, freshly opened, if it can be, and what is wrong with it."""
    with local_copy(path) as file:  # of a bucket its bytes are meant, and not those in the cache
        return _judged(file, recipe)


def _judged(file: Path, recipe: Recipe) -> tuple[Part | None, list[str]]:
    try:
        part = Part(file)
    except DamagedPart as error:
        return None, [error.what]
    promised = {name: {"dim": s.dim, "dtype": s.dtype} for name, s in recipe.streams.items()}
    if (part.fingerprint, part.specs) != (recipe.fingerprint, promised):
        return None, [f"it is of recipe {part.fingerprint}, not {recipe.fingerprint}"]
    found = problems(part)
    part.release()
    return part, found


def _set_aside(path: Location) -> Location:
    target, copies = path.with_name(QUARANTINED + path.name), 1
    while target.exists():
        copies += 1
        target = path.with_name(f"{QUARANTINED}{copies}-{path.name}")
    try:
        return path.rename(target)  # type: ignore[arg-type] # of the same kind
    except OSError as error:
        raise StoreError(f"{path} cannot be set aside: {error.strerror}") from error
