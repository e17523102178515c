"""Use a manifest with stores: choose clips to export or pack; write labels that were imported."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from emo.errors import ManifestError
from emo.manifest import COLUMNS, Clip, read_manifest
from emo.manifest.rows import read_rows
from emo.manifest.write import render_rows, write_rows

NO_TEXT = "(no text in the file)"
"""Text of an imported clip without one: a row of a manifest needs a video, an audio or a text."""


def cells_of(
    path: Path | None,
    *,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: Path | None = None,
) -> dict[str, dict[str, str]] | None:
    """Read a manifest as clip id -> column -> cell, in its order and without empty cells.

    Args:
        path: the manifest; None: the result is None.
        columns: columns under other names: our name -> the file's.
        root: folder of the media; None: the manifest's folder.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    if path is None:
        return None
    return {clip.id: _cells(clip) for clip in read_manifest(path, columns=columns, root=root).clips}


def manifest_bytes(cells: Mapping[str, Mapping[str, str]] | None) -> bytes | None:
    """Return a manifest of the cells as the bytes of a CSV file; None: no cells were given."""
    return None if cells is None else render_rows(".csv", columns_of_cells(cells))


def check_packed_labels(path: Path) -> None:
    """Check that a table of labels can be read and names clips.

    Raises:
        ManifestError: it cannot, or has no column of ids.
    """
    if "id" not in read_rows(path).columns:
        raise ManifestError(f"{path}: expected a table of clips with a column id")


def write_manifest(path: Path, cells: Mapping[str, Mapping[str, str]]) -> None:
    """Write a manifest of the labels that an imported file held.

    Args:
        path: the file to write.
        cells: clip id -> column -> cell.

    Raises:
        ManifestError: the file exists with another content, or cannot be written.
    """
    texts = {clip_id: {"text": NO_TEXT, **row} for clip_id, row in cells.items()}
    write_rows(path, columns_of_cells(texts))


def columns_of_cells(cells: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return column -> cells: the ids, the columns with a fixed meaning, then all others."""
    names = dict.fromkeys(name for row in cells.values() for name in row if name != "id")
    ordered = [name for name in COLUMNS if name in names]
    ordered += [name for name in names if name not in COLUMNS]
    columns = {"id": list(cells)}
    return columns | {name: [row.get(name, "") for row in cells.values()] for name in ordered}


def _cells(clip: Clip) -> dict[str, str]:
    """Return column -> cell of one clip, without its id and empty cells."""
    found = {name: getattr(clip, name) for name in COLUMNS if name != "id"}
    known = {name: str(value) for name, value in found.items() if value is not None}
    if known["audio_channel"] == "mix":
        del known["audio_channel"]
    return known | clip.targets
