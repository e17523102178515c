"""Commit contents to a recipe's folder, part by part; clips that are there already are kept."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from tqdm import tqdm

from emo.errors import EmoError, StoreError
from emo.store.adapted import seen_files
from emo.store.exchange.contents import Contents, runs_of_size
from emo.store.part.writer import PartWriter
from emo.store.recipe import RECIPE_FILE
from emo.store.recipe_folder import RecipeFolder

PART_BYTES = 2**28
"""Most bytes of tokens that are committed as one part."""


def write_parts(contents: Contents, folder: RecipeFolder) -> tuple[int, dict[str, str]]:
    """Commit the clips that the folder lacks.

    A clip whose numbers are not finite is recorded as a failure, as `emo extract` does.

    Returns:
        How many of the clips the folder had already, and failed clip -> reason.
    """
    there = {*folder.ids, *folder.failures}
    todo = np.array([clip_id not in there for clip_id in contents.ids], dtype=bool)
    sizes = sizes_of_clips(contents)
    failures = {k: why for k, why in contents.failures.items() if k not in there}
    left = dict(failures)
    with progress(contents, "import") as bar:
        watched = contents.with_ticks(bar.update)
        for first, last in runs_of_size(sizes, PART_BYTES):
            if todo[first:last].any():
                with PartWriter(folder.path, folder.recipe, versions=contents.versions) as part:
                    failures |= _add(part, watched, first, last, todo)
                    for clip_id, why in left.items():
                        part.fail(clip_id, why)
                    left = {}
    if left:
        with PartWriter(folder.path, folder.recipe, versions=contents.versions) as part:
            for clip_id, why in left.items():
                part.fail(clip_id, why)
    folder.refresh()
    return int((~todo).sum()), failures


def sizes_of_clips(contents: Contents) -> np.ndarray:
    """Return int64 (N,), the bytes of the tokens of each clip in all streams."""
    sizes = [rows.lengths * rows.token_bytes for rows in contents.streams.values()]
    return np.asarray(np.sum(sizes, axis=0, dtype=np.int64))


@contextmanager
def no_empty_recipe(folder: RecipeFolder) -> Iterator[None]:
    """Remove a recipe without parts when the block raises EmoError.

    Importing with other options makes another recipe, which an empty one of this name would block.
    """
    try:
        yield
    except EmoError:
        folder.refresh()
        if not folder.part_paths:
            for name in (RECIPE_FILE, *seen_files(folder.path)):
                (folder.path / name).unlink(missing_ok=True)
            with suppress(OSError):
                folder.path.rmdir()
        raise


def progress(contents: Contents, what: str) -> "tqdm[Any]":
    """Return a progress bar on stderr over the clips of every stream, shown after 2 s."""
    steps = len(contents.ids) * len(contents.streams)
    return tqdm(total=steps, desc=what, unit="clip", disable=None, delay=2)


def _add(
    part: PartWriter, contents: Contents, first: int, last: int, todo: np.ndarray
) -> dict[str, str]:
    """Add the wanted clips of a range to a part; return id of a clip that failed -> reason."""
    tokens = {name: rows.read(first, last) for name, rows in contents.streams.items()}
    failures = {}
    for row in np.flatnonzero(todo[first:last]).tolist():
        clip_id = contents.ids[first + row]
        arrays = {name: ragged[row] for name, ragged in tokens.items() if len(ragged[row])}
        reasons = {k: why for k, why in contents.absent.get(clip_id, {}).items() if k not in arrays}
        source = contents.sources.get(clip_id, "")
        try:
            part.add(
                clip_id, arrays, source=source,
                absent={name: why for name, why in reasons.items() if name in part.recipe.streams},
                notes=contents.notes.get(clip_id, {}),
            )  # fmt: skip
        except StoreError as error:
            failures[clip_id] = str(error)
            part.fail(clip_id, str(error), source=source)
    return failures
