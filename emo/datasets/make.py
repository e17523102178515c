"""`emo dataset`: read a download, check it, write its manifest, and report what was found."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo import plugins
from emo.datasets.check_media import check_media
from emo.datasets.counts import comparison
from emo.datasets.dataset import Dataset, Row
from emo.datasets.labels import mapped, mapped_counts
from emo.datasets.tree import list_tree
from emo.errors import DatasetError, line_of, plural
from emo.machine.table import format_table
from emo.machine.whole_file import whole_file
from emo.manifest.make import save
from emo.manifest.tables.text_table import TextTable

SHOWN_MISSING = 40
"""Largest number of missing files that the report lists."""


@dataclass(frozen=True)
class DatasetRequest:
    """Options of the command `emo dataset`."""

    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the data set: name -> value as text."""
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Column -> old class -> new class, such as ``{"label": {"exc": "hap"}}``."""
    is_partial: bool = False
    """Whether a manifest is written although files are missing: a clip is kept with the video or
    audio that it has."""
    is_opened: bool = True
    """Whether the header of every media file is read."""
    workers: int = 2
    """Number of files that are opened at the same time."""
    list_path: Path | None = None
    """File to which the whole list of missing files is written; None: no list."""


@dataclass(frozen=True)
class Report:
    """Result of `emo dataset`: what was found, and whether the manifest was written."""

    title: str
    """Name of the data set."""
    folder: Path
    """Folder of the download."""
    comparison: list[dict[str, object]]
    """Table rows of counts: found and stated."""
    notes: tuple[str, ...]
    """Lines for people about the download."""
    missing: tuple[str, ...]
    """Files that are missing or broken."""
    clips: int
    """Number of usable clips."""
    out: Path
    """Path of the manifest."""
    root: Path | None
    """Root of the manifest; None: no manifest was written."""

    def text(self) -> str:
        """Return the report as text for people."""
        details = [*self.notes, *(f"missing: {line}" for line in self.missing[:SHOWN_MISSING])]
        if len(self.missing) > SHOWN_MISSING:
            more = len(self.missing) - SHOWN_MISSING
            details.append(f"… and {more:,} more (--missing FILE: all)")
        parts = [f"{self.title} in {self.folder}", format_table(self.comparison)]
        return "\n\n".join([*parts, *filter(None, ["\n".join(map(line_of, details))]), self._end()])

    def _end(self) -> str:
        """Return the last lines: what was written, or why nothing was."""
        count = len(self.missing)
        lack = f"{count:,} {'file is' if count == 1 else 'files are'} missing or broken"
        if self.root is None:
            return (
                f"{lack}; no manifest was written. Complete the download, or add --partial for "
                "what is there"
            )
        lines = [f"partial: {lack}"] if self.missing else []
        lines.append(f"{plural(self.clips, 'clip')} -> {self.out}")
        if self.root != Path(os.path.abspath(self.out.parent)):
            lines.append(
                f"the media are in another folder: add --root {self.root} to the commands that "
                "read the manifest"
            )
        return "\n".join(lines)


def make_manifest(
    name: str, folder: Path, *, out: Path, request: DatasetRequest = DatasetRequest()
) -> Report:
    """Write the manifest of a download.

    Args:
        name: name of the data set, see `emo list datasets`.
        folder: folder of the download, in its published layout.
        out: the manifest to write.
        request: further options.

    Returns:
        What was found. No manifest is written if the download is incomplete, unless ``request``
        allows it.

    Raises:
        EmoError: no such data set or option, a folder without files of the data set, a table that
            is not as published, a list that cannot be written, or ``out`` exists with another
            content.
    """
    kind = plugins.load(plugins.DATASETS, name, Dataset)  # type: ignore[type-abstract]
    options: Any = plugins.parse_options(kind.Options, request.options, name)
    tree, stated = list_tree(folder), kind.stated(options)
    download = kind.read(tree, options)
    checked = check_media(
        download,
        list_tree(folder) if download.is_written else tree,
        is_opened=request.is_opened,
        workers=request.workers,
        is_partial=request.is_partial,
    )
    rows = mapped(checked.rows, request.maps, stated)
    if request.list_path is not None:
        _write_list(request.list_path, checked.lacking)
    root = None
    if rows and (request.is_partial or not checked.lacking):
        root = save(_table(rows, folder, download.paths), out, base=folder).root
    table = comparison(rows, mapped_counts(stated, request.maps))
    return Report(
        kind.card.title, folder, table, checked.notes, checked.lacking, len(rows), out, root
    )


def _write_list(path: Path, lines: Sequence[str]) -> None:
    """Write the list of missing files."""
    with whole_file(path, DatasetError, name=f"--missing {path}") as unfinished:
        unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _table(rows: list[Row], folder: Path, paths: tuple[str, ...]) -> TextTable:
    """Return the rows as a table without empty columns, with absolute paths."""
    names = dict.fromkeys(name for row in rows for name, cell in row.items() if cell)
    base = os.path.abspath(folder)
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    for name in names.keys() & set(paths):
        columns[name] = [cell and os.path.join(base, cell) for cell in columns[name]]
    return TextTable(columns, [f"clip {number}" for number in range(1, len(rows) + 1)])
