"""Read which clips are to be erased: from a list of ids, or from the rows of a manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from emo.errors import StoreError
from emo.manifest import read_manifest
from emo.manifest.clips import COLUMNS
from emo.manifest.rows import EXTENSIONS, read_rows
from emo.plugins import unknown

_MOST_BYTES = 2**30


def ids_of_file(path: Path) -> list[str]:
    """Return the ids in a table with a column ``id``, or in a text with one id a line.

    Raises:
        EmoError: the file cannot be read, has no such column, or holds no id.
    """
    if path.suffix.lower() in (*EXTENSIONS, ".xlsx"):
        rows = read_rows(path)
        if "id" not in rows.columns:
            raise StoreError(unknown(f"column of {path}", "id", rows.columns))
        found = rows.columns["id"]
    else:
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise StoreError(f"{path}: expected a list of ids, found more than 1 GiB")
            found = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path} cannot be read as a list of ids: {error}") from error
    ids = [word for each in found if (word := each.strip())]
    if not ids:
        raise StoreError(f"{path}: no ids in it")
    return ids


def ids_of_manifest(
    path: Path, conditions: Sequence[tuple[str, str]], *, columns: Mapping[str, str] = {}
) -> list[str]:
    """Return the ids of the clips of a manifest whose cells have the given values.

    Args:
        path: the manifest.
        conditions: column and value, all of which a clip must have.
        columns: renamed columns, see :func:`emo.manifest.read_manifest`.

    Raises:
        EmoError: the manifest cannot be read, has no such column, or no such clips.
    """
    clips = read_manifest(path, columns=columns).clips
    known = {*COLUMNS, *(name for clip in clips for name in clip.targets)}
    for name, _ in conditions:
        if name not in known:
            raise StoreError(unknown(f"column of {path}", name, known))
    ids = [
        clip.id
        for clip in clips
        if all(
            str(getattr(clip, name) if name in COLUMNS else clip.targets.get(name, "")) == value
            for name, value in conditions
        )
    ]
    if not ids:
        words = " and ".join(f"{name}={value}" for name, value in conditions)
        raise StoreError(f"{path}: no clip has {words}")
    return ids
