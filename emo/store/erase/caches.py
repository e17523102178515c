"""Remove from this machine's cache what it may hold of erased clips; it can be fetched again."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from emo.store.backend.cache_folder import cache_folder
from emo.store.backend.commit import cannot_write
from emo.store.backend.object_path import ObjectPath
from emo.store.erase.area import Scan, SearchedArea
from emo.store.erase.edits import ErasedClips
from emo.store.erase.files import contents, remove_file
from emo.store.erase.token_rows import TokenFinder, TokenRows


def clear_caches(
    areas: Sequence[SearchedArea], rows: TokenRows, clips: ErasedClips
) -> tuple[str, ...]:
    """Remove cached parts and copies of runs that hold something of the clips.

    Parts are looked at if an area lies in a bucket. Copies of runs always are: a run may hold an
    id although nobody named its place.

    Returns:
        Names of the runs whose copies were removed, without ids.

    Raises:
        StoreError: a copy cannot be read or removed.
    """
    finder = rows.finder()
    if any(isinstance(each.path, ObjectPath) for each in areas):
        _clear_parts(finder, clips)
    return tuple(sorted({clips.pattern.without(name) for name in _clear_runs(finder, clips)}))


def scan_caches(
    areas: Sequence[SearchedArea], finder: TokenFinder, found: Scan, clips: ErasedClips
) -> None:
    """Scan the whole cache if an area lies in a bucket; copies of runs have been scanned before."""
    if any(isinstance(each.path, ObjectPath) for each in areas) and cache_folder().is_dir():
        SearchedArea(cache_folder(), clips).scan(finder, found)


def _clear_parts(finder: TokenFinder, clips: ErasedClips) -> None:
    """Remove cached bytes of parts; an id is looked for inside of words, as indices hold them."""
    for path in sorted(cache_folder().rglob("*")) if cache_folder().is_dir() else ():
        if path.is_file() and path.parent.name == "parts":
            with contents(path) as data:
                is_held = clips.pattern.may_be_in(data) or finder.is_in(data)
            if is_held:
                remove_file(path)


def _clear_runs(finder: TokenFinder, clips: ErasedClips) -> set[str]:
    """Remove whole copies of runs, for one that was changed would be taken for the original.

    The cache holds them as ``runs/HASH OF THE URL/HASH OF THE VERSION/NAME``.
    """
    names: set[str] = set()
    for version in sorted(_runs_folder().glob("*/*")):
        found = Scan()
        SearchedArea(version, clips).scan(finder, found)
        if found.hits or found.not_examined:
            names |= {path.name for path in version.iterdir()} if version.is_dir() else set()
            _remove(version)
    return names


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(folder.parent, error) from error


def _runs_folder() -> Path:
    return cache_folder() / "runs"
