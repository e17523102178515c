"""Manifests meet stores: which clips are exported or packed, and their labels."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from emo.manifest import Clip, read_manifest
from emo.manifest.write import render_rows

_OURS = ("text", "split", "dialogue", "turn", "speaker")


def cells_of(
    path: Path | None,
    *,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: Path | None = None,
) -> dict[str, dict[str, str]] | None:
    """Clip id -> column -> cell, empty cells left out, in the order of the manifest.

    Args:
        path: of the manifest; None: none is given.
        columns: ``{ours: theirs}``.
        root: of the media.

    Raises:
        ManifestError: it cannot be read.
    """
    if path is None:
        return None
    return {clip.id: _cells(clip) for clip in read_manifest(path, columns=columns, root=root).clips}


def manifest_bytes(cells: Mapping[str, Mapping[str, str]] | None) -> bytes | None:
    """The CSV of these cells, without media paths, which mean nothing to somebody else."""
    if cells is None:
        return None
    names = dict.fromkeys(name for row in cells.values() for name in row)
    rest = [name for name in names if name not in _OURS]
    columns: dict[str, list[str]] = {"id": list(cells)}
    for name in ["text", *(name for name in _OURS[1:] if name in names), *rest]:
        columns[name] = [row.get(name, "") for row in cells.values()]
    return render_rows(".csv", columns)


def _cells(clip: Clip) -> dict[str, str]:
    found = {name: getattr(clip, name) for name in _OURS}
    return {k: str(v) for k, v in found.items() if v is not None} | clip.targets
