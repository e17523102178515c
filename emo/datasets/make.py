"""`emo dataset`: reads a download, checks it, writes its manifest, says what it found."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emo import plugins
from emo.datasets.check_media import settle
from emo.datasets.counts import comparison
from emo.datasets.dataset import Dataset, Row
from emo.datasets.labels import mapped, mapped_counts
from emo.datasets.tree import look
from emo.errors import DatasetError
from emo.manifest.make import save
from emo.manifest.rows import TextTable
from emo.table import format_table

LIBRARY = "emo.datasets.library"
SHOWN_MISSING = 40


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    options: Mapping[str, str] = field(default_factory=dict)
    """The data set's own, as text."""
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """``{"label": {"exc": "hap"}}``."""
    is_partial: bool = False
    """A manifest of what is there, although something is missing."""
    is_opened: bool = True
    """Read the header of every file."""
    workers: int = 2
    list_path: Path | None = None
    """Where the whole list of what is missing is written."""


@dataclass(frozen=True)
class Report:
    """What was found, and whether the manifest was written."""

    title: str
    folder: Path
    comparison: list[dict[str, object]]
    """Found beside stated."""
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    clips: int
    out: Path
    root: Path | None
    """The manifest's root; None: nothing was written."""

    def text(self) -> str:
        """For people to read."""
        details = [*self.notes, *(f"missing: {line}" for line in self.missing[:SHOWN_MISSING])]
        if len(self.missing) > SHOWN_MISSING:
            more = len(self.missing) - SHOWN_MISSING
            details.append(f"… and {more:,} more (--missing FILE: all)")
        parts = [f"{self.title} in {self.folder}", format_table(self.comparison)]
        return "\n\n".join([*parts, *filter(None, ["\n".join(details)]), self._end()])

    def _end(self) -> str:
        count = len(self.missing)
        lack = f"{count:,} {'file is' if count == 1 else 'files are'} missing or broken"
        if self.root is None:
            return (
                f"{lack}; no manifest was written. Complete the download, or add --partial for "
                "what is there"
            )
        lines = [f"partial: {lack}"] if self.missing else []
        lines.append(f"{self.clips:,} clips -> {self.out}")
        if self.root != Path(os.path.abspath(self.out.parent)):
            lines.append(
                f"the media lie elsewhere: add --root {self.root} to the commands that read it"
            )
        return "\n".join(lines)


def make_manifest(name: str, folder: Path, *, out: Path, wish: Wish = Wish()) -> Report:
    """Write the manifest of a download.

    Args:
        name: a data set, see `emo list datasets`.
        folder: the download, in its published layout.
        out: the manifest to write.
        wish: what else was asked.

    Returns:
        What was found; without a manifest when the download is not complete.

    Raises:
        EmoError: no such data set or option, a folder that holds nothing of it, a table that is
            not as published, a list that cannot be written, or ``out`` exists with another content.
    """
    kind = plugins.load(LIBRARY, name, Dataset)  # type: ignore[type-abstract]
    options: Any = plugins.parse_options(kind.Options, wish.options, name)
    tree, stated = look(folder), kind.stated(options)
    download = kind.read(tree, options)
    settled = settle(download, tree, is_opened=wish.is_opened, workers=wish.workers)
    rows = mapped(settled.rows, wish.maps, stated)
    if wish.list_path is not None:
        _write_list(wish.list_path, settled.lacking)
    root = None
    if rows and (wish.is_partial or not settled.lacking):
        root = save(_table(rows, folder, download.paths), out, base=folder).root
    table = comparison(rows, mapped_counts(stated, wish.maps))
    return Report(
        kind.card.title, folder, table, settled.notes, settled.lacking, len(rows), out, root
    )


def _write_list(path: Path, lines: Sequence[str]) -> None:
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise DatasetError(
            f"--missing {path} cannot be written: {error.strerror}; nothing else was written. "
            "Choose another file"
        ) from error


def _table(rows: list[Row], folder: Path, paths: tuple[str, ...]) -> TextTable:
    """Columns that hold anything, paths absolute."""
    names = dict.fromkeys(name for row in rows for name, cell in row.items() if cell)
    base = os.path.abspath(folder)
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    for name in names.keys() & set(paths):
        columns[name] = [cell and os.path.join(base, cell) for cell in columns[name]]
    return TextTable(columns, [f"clip {number}" for number in range(1, len(rows) + 1)])
