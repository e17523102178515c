"""`emo manifest …`: make a manifest from a folder of media or several tables; assign splits."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from emo import plugins
from emo.errors import ManifestError
from emo.machine.untrusted.addresses import is_url, parse_address, under_prefix, url_of
from emo.manifest import cells
from emo.manifest.clips import COLUMNS, Manifest, parse_rows, read_manifest
from emo.manifest.naming.named_folder import NamedFolder, named_folder
from emo.manifest.rows import read_rows
from emo.manifest.spelling import alike, quoted
from emo.manifest.tables.text_table import TextTable, rename
from emo.manifest.write import write_rows

MEDIA = ("video", "audio")
"""Columns that hold paths of media."""


@dataclass(frozen=True)
class Cut:
    """How to assign splits by the values of a column: some are val or test, all others train."""

    column: str
    """Name of the column: ``speaker``, ``dialogue``, ``folder`` …"""
    val: tuple[str, ...] = ()
    """Values whose clips are val."""
    test: tuple[str, ...] = ()
    """Values whose clips are test."""


def from_folder(
    folder: Path, *, out: Path, cut: Cut | None = None, pattern: str | None = None
) -> Manifest:
    """Write a manifest with a clip for each media file below ``folder``, sorted by path.

    A ``.wav`` beside a video or a still picture of the same stem becomes its audio. Names of
    folders and files that tell split, label and speaker become these columns, see
    :mod:`emo.manifest.naming`. Hidden files are left out, and so are
    :func:`emo.manifest.folder.posters`.

    Args:
        folder: the folder of media.
        out: the manifest to write.
        cut: how to assign splits; None: as the folders say.
        pattern: which columns the paths hold; None: they are found.

    Returns:
        The manifest as written. Its paths are relative to ``out``'s folder. If the media are not
        below that, they are relative to ``folder``, which is then the manifest's ``root`` (and
        must be given as --root to commands that read it).

    Raises:
        ManifestError: no such folder, no media in it, names that can be read in several ways, or
            ``out`` exists with another content.
    """
    return save_folder(named_folder(folder, pattern), folder, out=out, cut=cut)


def save_folder(named: NamedFolder, folder: Path, *, out: Path, cut: Cut | None = None) -> Manifest:
    """Write the manifest of a folder that :func:`named_folder` has read."""
    rows = named.rows
    if cut is not None and cut.column == "folder":
        rows = TextTable({**rows.columns, "folder": named.folders}, rows.origins)
    return save(absolute_paths(rows, folder), out, base=folder, cut=cut)


def join_tables(
    parts: Mapping[str, Path],
    *,
    out: Path,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: Path | None = None,
) -> Manifest:
    """Write one manifest of several tables, each of which is one split.

    Args:
        parts: split -> table, such as ``{"train": a.csv, "val": b.csv}``.
        out: the manifest to write; it has the columns of all parts.
        columns: columns under other names, in every part: our name -> the file's.
        root: folder of the media of every part; None: each part's own folder.

    Raises:
        ManifestError: a part cannot be read, has splits of its own, or two rows have one id.
    """
    tables = []
    for word, path in parts.items():
        try:
            split = cells.split(word)
        except ValueError as error:
            raise ManifestError(f"--split {word}={path}: {error}") from error
        rows = _read(path, columns, root)
        if any(rows.columns.get("split", ())):
            raise ManifestError(
                f"{path} has splits of its own; rename that column: --column other=split"
            )
        split_column = [split] * len(rows.origins)
        tables.append(TextTable({**rows.columns, "split": split_column}, rows.origins))
    folders = [os.path.abspath(path.parent) for path in parts.values()]
    base = root or Path(os.path.commonpath(folders))
    return save(_stack(tables), out, base=base)


def split_by(
    path: Path,
    cut: Cut,
    *,
    out: Path,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: Path | None = None,
) -> Manifest:
    """Write a copy of a manifest with new splits.

    Ids and dialogues stay as they were, so that one store serves both manifests.

    Args:
        path: the manifest to copy.
        cut: how to assign the splits.
        out: the manifest to write.
        columns: columns under other names in ``path``: our name -> the file's.
        root: folder of the media; None: the folder of ``path``.

    Raises:
        ManifestError: a column or value that does not occur (similar ones are offered), a value in
            two splits, a row without a value, or nothing left for train.
    """
    rows = _read(path, columns, root, is_pinned=True)
    return save(rows, out, base=root or path.parent, cut=cut)


def _read(
    path: Path, columns: Mapping[str, str], root: Path | None, *, is_pinned: bool = False
) -> TextTable:
    """Read a table, check its rows as a manifest, and make its paths absolute.

    Args:
        path: the file.
        columns: columns under other names: our name -> the file's.
        root: folder of the media; None: the folder of ``path``.
        is_pinned: write ids and dialogues into their columns.
    """
    rows = rename(read_rows(path), columns, path)
    manifest, problems = parse_rows(rows, path, root=root)
    if problems:
        raise ManifestError(f"{path}: {problems[0].message}")
    table = _pinned(rows.columns, manifest) if is_pinned else rows.columns
    return absolute_paths(
        TextTable(table, [f"{path} {origin}" for origin in rows.origins]),
        Path(manifest.prefix) if manifest.prefix else manifest.root,
    )


def _pinned(columns: dict[str, list[str]], manifest: Manifest) -> dict[str, list[str]]:
    """Return the columns with all ids and dialogues filled in, which may depend on old splits."""
    pinned = {**columns, "id": [clip.id for clip in manifest.clips]}
    if "dialogue" in columns:
        pinned["dialogue"] = [clip.dialogue or "" for clip in manifest.clips]
    return pinned


def absolute_paths(rows: TextTable, root: Path) -> TextTable:
    """Return a table with stripped cells, absolute paths of media, and whole URLs.

    Args:
        rows: the table.
        root: folder that paths are relative to, or ``Path`` of its URL.
    """
    url, folder = url_of(root), os.path.abspath(root)
    columns = {name: [cell.strip() for cell in column] for name, column in rows.columns.items()}
    for name in path_columns(columns):
        columns[name] = [
            c and (under_prefix(c, url) if url else c if is_url(c) else os.path.join(folder, c))
            for c in columns[name]
        ]
    return TextTable(columns, rows.origins)


def path_columns(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names of columns of paths: video, audio, and columns of array files."""
    return [
        name
        for name, column in columns.items()
        if name in MEDIA or (any(column) and all(not c or c.endswith(cells.ARRAYS) for c in column))
    ]


def _stack(tables: Sequence[TextTable]) -> TextTable:
    """Return all rows of several tables; a column that a table lacks is empty in its rows."""
    names = dict.fromkeys(name for rows in tables for name in rows.columns)
    columns = {
        name: [cell for rows in tables for cell in rows.columns.get(name, [""] * len(rows.origins))]
        for name in names
    }
    return TextTable(columns, [origin for rows in tables for origin in rows.origins])


def save(rows: TextTable, out: Path, *, base: Path, cut: Cut | None = None) -> Manifest:
    """Check a table, assign splits, and write it as a manifest with relative paths.

    Args:
        rows: the table, with absolute paths.
        out: the file to write, in the format of its extension.
        base: the manifest's root if a path is not below ``out``'s folder.
        cut: how to assign splits; None: leave them as they are.

    Returns:
        The manifest, read from ``out``.

    Raises:
        ManifestError: a row cannot be used, or ``out`` exists with another content.
    """
    names = path_columns(rows.columns)
    media = [cell for name in names for cell in rows.columns[name] if cell]
    folder = os.path.abspath(out.parent)
    local_media = [cell for cell in media if not is_url(cell)]
    if media and not local_media and url_of(base):
        root = base
    else:
        is_below = all(_is_below(cell, folder) for cell in local_media)
        root = Path(folder if is_below else os.path.abspath(base))
    columns = dict(rows.columns)
    for name in names:
        columns[name] = [cell and _relative(cell, root) for cell in columns[name]]
    manifest, problems = parse_rows(TextTable(columns, rows.origins), out, root=root)
    if problems:
        raise ManifestError(problems[0].message)
    _check_inside([c for name in names for c in columns[name] if c and name not in MEDIA], root)
    if cut is not None:
        columns = {**_pinned(columns, manifest), "split": _cut(rows, cut)}
    order = [name for name in COLUMNS if name in columns]
    written = {name: columns[name] for name in dict.fromkeys([*order, *columns])}
    write_rows(out, written, origins=rows.origins)
    return read_manifest(out, root=root)


def _relative(cell: str, root: Path) -> str:
    """Return a path or URL relative to ``root``; a URL that does not lie below it as it is."""
    if is_url(cell):
        return cell.removeprefix(f"{(url_of(root) or ' ').rstrip('/')}/")
    file = parse_address(cell).file
    return os.path.relpath(file, root).replace(os.sep, "/") + cell[len(file) :]


def _check_inside(arrays: Sequence[str], root: Path) -> None:
    """Raise ManifestError when the path of an array file leaves ``root``."""
    for cell in arrays:
        try:
            cells.inside(cell, str(root))
        except ValueError as error:
            raise ManifestError(str(error)) from error


def _is_below(path: str, folder: str) -> bool:
    """Return whether a path is inside a folder."""
    try:
        return bool(cells.inside(path, folder))
    except ValueError:
        return False


def _cut(rows: TextTable, cut: Cut) -> list[str]:
    """Return the new split of each row."""
    option = f"--split-by {cut.column}"
    if cut.column not in rows.columns:
        raise ManifestError(plugins.unknown(f"column for {option}", cut.column, rows.columns))
    values = rows.columns[cut.column]
    if "" in values:
        empty = rows.origins[values.index("")]
        raise ManifestError(f"{option}: {empty} has no {cut.column}; fill it, or delete the row")
    for name in (*cut.val, *cut.test):
        if name not in values:
            raise ManifestError(plugins.unknown(f"{cut.column} for {option}", name, set(values)))
    both = sorted(set(cut.val) & set(cut.test))
    if both:
        raise ManifestError(f"{option}: {both[0]!r} cannot be in val and in test")
    if not cut.val and not cut.test:
        raise ManifestError(f"{option}: name at least one --val or --test; the rest is train")
    if set(values) <= {*cut.val, *cut.test}:
        raise ManifestError(f"{option}: nothing is left for train; name fewer --val and --test")
    splits = {v: "val" if v in cut.val else "test" if v in cut.test else "train" for v in values}
    for names in alike(values):
        if len({splits[name] for name, _ in names}) > 1:
            shown = ", ".join(f"{quoted(name)} would be {splits[name]}" for name, _ in names)
            raise ManifestError(
                f"{option}: {shown}, but they differ only in spelling; name each of them in one "
                "option, or write them in one way"
            )
    return [splits[value] for value in values]
