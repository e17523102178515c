"""Read a manifest, the table of clips, and check its rows."""

import gc
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from emo.errors import ManifestError
from emo.machine.untrusted.addresses import (
    checked_url,
    is_url,
    under_prefix,
    url_of,
    without_offset,
)
from emo.machine.untrusted.documents import short_repr, shortened
from emo.manifest import cells
from emo.manifest.rows import read_rows
from emo.manifest.tables.text_table import TextTable, rename

COLUMNS = (
    "id", "video", "audio", "audio_channel", "audio_track", "text", "split", "dialogue", "turn",
    "speaker", "start_seconds", "end_seconds",
)  # fmt: skip
"""Names of columns with a fixed meaning; every other column is a target."""


_MOST_SHARED = 2**16
"""Rows of labels for which clips with equal labels share one dict; a dict takes 200 bytes."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the manifest: a stretch of video, audio or text, and its labels."""

    id: str
    """Id of the clip, unique in the manifest."""
    video: str | None = None
    """Path of the video file relative to ``Manifest.root``, without ``..``, or its URL, see
    :mod:`emo.machine.untrusted.addresses`; it may hold audio."""
    audio: str | None = None
    """Path of a separate audio file; if given, audio is read from it and not from ``video``."""
    audio_channel: str = "mix"
    """Channel of the audio: ``mix`` (all), ``left``, ``right`` or a 0-based number."""
    audio_track: str | None = None
    """Audio track of the file: a 0-based number, or a language as the file states it, such as
    ``eng``; None: the track marked as default, else the first."""
    text: str | None = None
    """Text that is said in the clip; None: not known."""
    split: str | None = None
    """``train``, ``val`` or ``test``; None: no split column, or an empty cell."""
    dialogue: str | None = None
    """Dialogue that the clip belongs to, unique over the whole manifest (``split/value`` when a
    value occurs in several splits)."""
    turn: int | None = None
    """0-based number in the dialogue; None: the order of the rows in a dialogue counts."""
    speaker: str | None = None
    """Name of the speaker."""
    start_seconds: float | None = None
    """Start of the clip in its media file, seconds; None: 0."""
    end_seconds: float | None = None
    """End of the clip in its media file, seconds; None: the end of the file."""
    targets: dict[str, str] = field(default_factory=dict)
    """Name of every other column -> label; an empty cell is left out. Clips with equal labels may
    share it: never change it."""


@dataclass(frozen=True)
class Manifest:
    """The clips of one manifest file."""

    path: Path
    """Path of the manifest."""
    root: Path
    """Absolute path of the folder that contains all media; paths in clips are relative to it."""
    clips: tuple[Clip, ...]
    """The clips, in the order of the rows."""
    sha256: str
    """SHA-256 of the file's bytes."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The renamed columns that the file was read with: our name -> the file's name."""
    number_notes: Mapping[str, str] = field(default_factory=dict)
    """Column whose numbers are written in another way in the file -> a text for the user."""
    prefix: str = ""
    """URL of the folder of the media, which stands before the cells in ``clips``; empty: their
    folder is ``root``."""

    def check_cell(self, cell: str) -> None:
        """Check a clip's ``video`` or ``audio``, which may be a URL or a member of a tar shard.

        Raises:
            ManifestError: the path leaves ``root``, or the URL cannot be used.
        """
        try:
            cells.inside(cell, os.path.abspath(self.root))
        except ValueError as error:
            raise ManifestError(str(error)) from error

    def media_path(self, relative: str) -> Path:
        """Return the absolute path of a clip's ``video`` or ``audio``.

        Raises:
            ManifestError: the path leaves ``root``, or is a URL.
        """
        if is_url(relative):
            raise ManifestError(f"{relative}: expected a local file, found a URL")
        root = os.path.abspath(self.root)
        try:
            return Path(root, cells.inside(relative, root))
        except ValueError as error:
            raise ManifestError(str(error)) from error


@dataclass(frozen=True)
class ManifestProblem:
    """A row of a manifest that cannot be used."""

    kind: Literal["row", "duplicate"]
    """``row``: an invalid cell; ``duplicate``: an id that another row has, too."""
    message: str
    """Which row it is, what was expected and what was found."""


def read_manifest(
    path: Path, *, columns: Mapping[str, str] = MappingProxyType({}), root: Path | None = None
) -> Manifest:
    """Read and check the clips of a CSV, TSV, JSONL or Parquet file; opens no media.

    Args:
        path: the file.
        columns: columns under other names: our name -> the file's, such as
            ``{"label": "Emotion"}``.
        root: folder of the media, or ``Path`` of its URL; None: the manifest's folder.

    Raises:
        ManifestError: the file, a column or a row cannot be used; the first such row is named.
    """
    manifest, problems = inspect_manifest(path, columns=columns, root=root)
    if problems:
        others = f" ({len(problems) - 1} more: `emo check {path}`)" if len(problems) > 1 else ""
        raise ManifestError(f"{url_of(path) or path}: {problems[0].message}{others}")
    return manifest


def inspect_manifest(
    path: Path, *, columns: Mapping[str, str] = MappingProxyType({}), root: Path | None = None
) -> tuple[Manifest, list[ManifestProblem]]:
    """Read a manifest like :func:`read_manifest`, but list invalid rows instead of raising.

    Invalid rows are left out of the manifest; clips that share an id are all kept.

    Raises:
        ManifestError: the file or its columns cannot be used at all.
    """
    with _without_collector():
        manifest, problems = parse_rows(rename(read_rows(path), columns, path), path, root=root)
    return replace(manifest, columns=dict(columns)), problems


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause the search for garbage: of two million new clips none is, and it takes most time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def parse_rows(
    rows: TextTable, path: Path, *, root: Path | None = None
) -> tuple[Manifest, list[ManifestProblem]]:
    """Parse the rows of a table into clips.

    Args:
        rows: the table.
        path: the file that it was read from, or will be written to.
        root: folder of the media, or ``Path`` of its URL; None: the folder of ``path``.

    Returns:
        The manifest of the valid rows, and the problems of the others.

    Raises:
        ManifestError: the table has no usable columns or no rows.
    """
    prefix = _url_prefix(path if root is None else root, is_manifest=root is None)
    if root is not None and not prefix and not root.is_dir():
        raise ManifestError(f"--root {root}: no such folder")
    folder = os.path.abspath("." if prefix else path.parent if root is None else root)
    _check_columns(rows, path)
    table = {name: [*map(str.strip, column)] for name, column in rows.columns.items()}
    values, errors = cells.parse_columns(
        table, COLUMNS, count=len(rows.origins), root=prefix or folder
    )
    values["id"] = _ids(values)
    if prefix:  # after the ids, which are then those of a copy in a local folder
        for name in ("video", "audio"):
            values[name] = [cell and under_prefix(cell, prefix) for cell in values[name]]
    values["dialogue"] = _dialogues(values)
    others = {name: column for name, column in table.items() if name not in COLUMNS}
    targets = zip(*others.values(), strict=True) if others else repeat(())
    clips, left_out, problems = [], set(), []
    shared: dict[tuple[str, ...], dict[str, str]] = {}
    lines = zip(zip(*values.values(), strict=True), targets, strict=False)
    for number, (line, labels) in enumerate(lines):
        named = shared.get(labels)
        if named is None:
            named = {name: label for name, label in zip(others, labels, strict=True) if label}
            if len(shared) < _MOST_SHARED:
                shared[labels] = named
        clip = Clip(*[*line, named])
        error = errors.get(number) or _contradiction(clip)
        if error:
            problems.append(ManifestProblem("row", f"{rows.origins[number]}: {error}"))
            left_out.add(number)
        else:
            clips.append(clip)
    if len({clip.id for clip in clips}) < len(clips):
        numbers = (number for number in range(len(rows.origins)) if number not in left_out)
        problems += _duplicates(clips, [rows.origins[number] for number in numbers])
    return Manifest(
        path, Path(folder), tuple(clips), rows.sha256, number_notes=rows.number_notes,
        prefix=prefix,
    ), problems  # fmt: skip


def _url_prefix(path: Path, *, is_manifest: bool) -> str:
    """Return the URL that stands before relative paths of media; empty: they are local.

    Args:
        path: the folder of the media, or the manifest.
        is_manifest: whether it is the manifest, whose folder then counts.

    Raises:
        ManifestError: the URL cannot be used.
    """
    url = url_of(path)
    if url is None:
        return ""
    try:
        # a bucket itself may be the folder
        url = checked_url(url if is_manifest else f"{url.rstrip('/')}/x").rpartition("/")[0]
    except ValueError as error:
        raise ManifestError(str(error)) from error
    return url


def _check_columns(rows: TextTable, path: Path) -> None:
    """Raise ManifestError unless the table has rows and a column of media or text."""
    found = shortened(", ".join(map(repr, rows.columns)), 600) or "none"
    if not {"video", "audio", "text"} & rows.columns.keys():
        raise ManifestError(
            f"{path}: expected a column video, audio or text; found {found}. If one of these holds "
            "the path or the words, name it: --column video=NAME, --column text=NAME"
        )
    if not rows.origins:
        raise ManifestError(f"{path}: no clips; expected a row for each clip below the header")


def _ids(values: Mapping[str, list[Any]]) -> list[str]:
    """Return the ids of all rows.

    An id is the cell of the column id; if that is empty it is made of split, dialogue and turn, or
    else of file, times, channel and track, or else of the text.
    """
    names = ("id", "split", "dialogue", "turn", "video", "audio", "text")
    stretches = map(
        cells.stretch, values["start_seconds"], values["end_seconds"], values["audio_channel"],
        values["audio_track"],
    )  # fmt: skip
    texts = Counter[str]()
    ids = []
    columns = zip(*(values[name] for name in names), stretches, strict=True)
    for name, split, dialogue, turn, video, audio, text, stretch in columns:
        if name:
            ids.append(name)
        elif dialogue and turn is not None:
            ids.append(f"{split}/{dialogue}/{turn}" if split else f"{dialogue}/{turn}")
        elif video or audio:
            ids.append(f"{without_offset(video or audio)}{stretch}")
        else:
            ids.append(_text_id(text or "", texts))
    return ids


def _text_id(text: str, texts: Counter[str]) -> str:
    """Return an id made of the text, so that it does not change when other rows are inserted.

    Args:
        text: the clip's text.
        texts: how often each id has occurred; it is updated.
    """
    name = f"text/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    texts[name] += 1
    return name if texts[name] == 1 else f"{name}/{texts[name]}"


def _dialogues(values: Mapping[str, list[Any]]) -> list[str | None]:
    """Return the dialogues of all rows; a value in several splits means several dialogues.

    Such a value becomes ``split/value``.
    """
    if not any(values["dialogue"]):
        return values["dialogue"]
    pairs = list(zip(values["dialogue"], values["split"], strict=True))
    splits = Counter(dialogue for dialogue, _ in set(pairs) if dialogue)
    return [
        f"{split}/{value}" if split and splits.get(value, 0) > 1 else value
        for value, split in pairs
    ]


def _contradiction(clip: Clip) -> str | None:
    """Return what is contradictory in a row; None: nothing."""
    if not (clip.video or clip.audio or clip.text):
        return "no video, no audio and no text; fill one of them, or delete the row"
    if clip.end_seconds is not None and clip.end_seconds <= (clip.start_seconds or 0):
        return (
            f"end_seconds {clip.end_seconds:g} is not after start_seconds "
            f"{clip.start_seconds or 0:g}"
        )
    return None


def _duplicates(clips: list[Clip], origins: list[str]) -> list[ManifestProblem]:
    """Return a problem for each clip whose id an earlier row has."""
    first: dict[str, str] = {}
    problems = []
    for clip, origin in zip(clips, origins, strict=True):
        if clip.id in first:
            problems.append(
                ManifestProblem(
                    "duplicate",
                    f"{first[clip.id]} and {origin} have the same id {short_repr(clip.id)}; "
                    "give each row another one in the column id",
                )
            )
        first.setdefault(clip.id, origin)
    return problems
