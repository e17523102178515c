"""`emo manifest …`: makes a manifest from a folder of media, from several tables, or by a cut."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from emo import plugins
from emo.errors import ManifestError
from emo.manifest import cells
from emo.manifest.clips import COLUMNS, Manifest, parse_rows, read_manifest
from emo.manifest.rows import TextTable, read_rows, rename
from emo.manifest.write import write_rows

VIDEO = (
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".wmv",
)  # fmt: skip
AUDIO = (
    ".aac", ".aif", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma",
)  # fmt: skip
STILL = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Endings of still pictures, which stand in the column ``video``."""
MEDIA = ("video", "audio")


@dataclass(frozen=True)
class Cut:
    """Splits cut by the values of a column: whoever is named is val or test, the rest train."""

    column: str
    """Any column: ``speaker``, ``dialogue``, ``folder`` …"""
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


def from_folder(folder: Path, *, out: Path, cut: Cut | None = None) -> Manifest:
    """One clip for each media file below ``folder``, in the order of the sorted paths.

    A ``.wav`` beside a video or a still picture of the same stem becomes its audio. The column
    ``folder`` holds the sub-folder, so that it can be a target. Hidden files are left out, and so
    are :func:`posters`.

    Returns:
        The manifest as written. Its paths are relative to ``out``'s folder; when the media do not
        lie below that, to ``folder``, which is then the manifest's ``root`` (and must be given
        as --root from then on).

    Raises:
        ManifestError: no such folder, no media in it, or ``out`` exists with another content.
    """
    return save(_absolute(folder_rows(folder), folder), out, base=folder, cut=cut)


def folder_rows(folder: Path) -> TextTable:
    """The clips below ``folder``, paths relative to it; see :func:`from_folder`.

    Raises:
        ManifestError: no such folder, or no media in it.
    """
    if not folder.is_dir():
        raise ManifestError(f"{folder}: no such folder; name the one that holds the media")
    files = sorted(_files(folder))
    videos = [file for file in files if _kind(file) in VIDEO + STILL]
    stems = {os.path.splitext(file)[0] for file in videos}
    own_audio = {
        os.path.splitext(file)[0]: file
        for file in files
        if _kind(file) == ".wav" and os.path.splitext(file)[0] in stems
    }
    left_out = {*own_audio.values(), *_posters(files)}
    clips = [file for file in files if file not in left_out]
    if not clips:
        known = " ".join(VIDEO + AUDIO + STILL)
        raise ManifestError(f"{folder}: no media; expected files such as {known}")
    table = {"video": [], "audio": [], "folder": []}  # type: dict[str, list[str]]
    for file in clips:
        stem, kind = os.path.splitext(file)
        is_video = kind.lower() in VIDEO + STILL
        table["video"].append(file if is_video else "")
        table["audio"].append(own_audio.get(stem, "") if is_video else file)
        table["folder"].append(Path(file).parent.as_posix().removeprefix("."))
    columns = {name: column for name, column in table.items() if any(column)}
    return TextTable(columns, clips)


def posters(folder: Path) -> list[str]:
    """Return the still pictures below a folder that lie beside a video of the same stem."""
    return _posters(sorted(_files(folder)))


def _posters(files: Sequence[str]) -> list[str]:
    stems = {os.path.splitext(file)[0] for file in files if _kind(file) in VIDEO}
    return [f for f in files if _kind(f) in STILL and os.path.splitext(f)[0] in stems]


def join_tables(
    parts: Mapping[str, Path],
    *,
    out: Path,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: Path | None = None,
) -> Manifest:
    """One manifest of several tables, the clips of each under its own split.

    Args:
        parts: ``{"train": a.csv, "val": b.csv}``.
        out: where it is written; with the columns of all parts, under our names.
        columns: ``{ours: theirs}``, in every part.
        root: folder of the media of every part; None: each part's own.

    Raises:
        ManifestError: a part cannot be read, names a split of its own, or two rows have one id.
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
    """The manifest in ``path`` with its splits cut anew, written to ``out``.

    Ids and dialogues are written down as they were, so that one store serves every cut.

    Raises:
        ManifestError: a column or name that does not occur (the nearest are offered), a name in
            two splits, a row without a value, or nothing left for train.
    """
    rows = _read(path, columns, root, is_pinned=True)
    return save(rows, out, base=root or path.parent, cut=cut)


def _files(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(parent, name).relative_to(folder).as_posix()
            if _kind(name) in VIDEO + AUDIO + STILL and not name.startswith("."):
                if not file.isprintable():  # undecodable bytes or a line break
                    raise ManifestError(f"{folder}: rename {file!r}; its name is not plain text")
                yield file


def _kind(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def _read(
    path: Path, columns: Mapping[str, str], root: Path | None, *, is_pinned: bool = False
) -> TextTable:
    rows = rename(read_rows(path), columns, path)
    manifest, problems = parse_rows(rows, path, root=root)
    if problems:
        raise ManifestError(f"{path}: {problems[0].message}")
    table = _pinned(rows.columns, manifest) if is_pinned else rows.columns
    return _absolute(
        TextTable(table, [f"{path} {origin}" for origin in rows.origins]), manifest.root
    )


def _pinned(columns: dict[str, list[str]], manifest: Manifest) -> dict[str, list[str]]:
    """With ids and dialogues spelled out: both may have been told from the splits."""
    pinned = {**columns, "id": [clip.id for clip in manifest.clips]}
    if "dialogue" in columns:
        pinned["dialogue"] = [clip.dialogue or "" for clip in manifest.clips]
    return pinned


def _absolute(rows: TextTable, root: Path) -> TextTable:
    """With stripped cells and absolute paths of media."""
    folder = os.path.abspath(root)
    columns = {name: [cell.strip() for cell in column] for name, column in rows.columns.items()}
    for name in path_columns(columns):
        columns[name] = [c and os.path.join(folder, c) for c in columns[name]]
    return TextTable(columns, rows.origins)


def path_columns(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """``video``, ``audio``, and columns of which every cell names an array file or is empty."""
    return [
        name
        for name, column in columns.items()
        if name in MEDIA or (any(column) and all(not c or c.endswith(cells.ARRAYS) for c in column))
    ]


def _stack(tables: Sequence[TextTable]) -> TextTable:
    """The tables one below the other; a column that one of them lacks is empty there."""
    names = dict.fromkeys(name for rows in tables for name in rows.columns)
    columns = {
        name: [cell for rows in tables for cell in rows.columns.get(name, [""] * len(rows.origins))]
        for name in names
    }
    return TextTable(columns, [origin for rows in tables for origin in rows.origins])


def save(rows: TextTable, out: Path, *, base: Path, cut: Cut | None = None) -> Manifest:
    """Check, cut, then write; paths become relative to ``out``'s folder, or else to ``base``.

    Args:
        rows: with absolute paths.
        out: the file, in a format that its extension names.
        base: the manifest's root when a path does not lie below ``out``'s folder.
        cut: splits to cut.

    Raises:
        ManifestError: a row cannot be used, or ``out`` exists with another content.
    """
    names = path_columns(rows.columns)
    media = [cell for name in names for cell in rows.columns[name] if cell]
    folder = os.path.abspath(out.parent)
    is_below = all(_is_below(cell, folder) for cell in media)
    root = Path(folder if is_below else os.path.abspath(base))
    columns = dict(rows.columns)
    for name in names:
        columns[name] = [
            cell and os.path.relpath(cell, root).replace(os.sep, "/") for cell in columns[name]
        ]
    manifest, problems = parse_rows(TextTable(columns, rows.origins), out, root=root)
    if problems:
        raise ManifestError(problems[0].message)
    _check_inside([c for name in names for c in columns[name] if c and name not in MEDIA], root)
    if cut is not None:
        columns = {**_pinned(columns, manifest), "split": _cut(rows, cut)}
    order = [name for name in COLUMNS if name in columns]
    write_rows(out, {name: columns[name] for name in dict.fromkeys([*order, *columns])})
    return read_manifest(out, root=root)


def _check_inside(arrays: Sequence[str], root: Path) -> None:
    for cell in arrays:
        try:
            cells.inside(cell, str(root))
        except ValueError as error:
            raise ManifestError(str(error)) from error


def _is_below(path: str, folder: str) -> bool:
    try:
        return bool(cells.inside(path, folder))
    except ValueError:
        return False


def _cut(rows: TextTable, cut: Cut) -> list[str]:
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
    return ["val" if v in cut.val else "test" if v in cut.test else "train" for v in values]
