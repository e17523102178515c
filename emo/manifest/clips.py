"""The manifest: the table of clips that every command starts from."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from emo.errors import ManifestError
from emo.manifest import cells
from emo.manifest.rows import TextTable, read_rows, rename

COLUMNS = (
    "id", "video", "audio", "audio_channel", "audio_track", "text", "split", "dialogue", "turn",
    "speaker", "start_seconds", "end_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the manifest: a stretch of video, audio or text, at most one label a target."""

    id: str
    video: str | None = None
    """Relative to ``Manifest.root``, without ``..``; it may hold audio too."""
    audio: str | None = None
    """A separate audio file; when given, audio is taken from it and not from ``video``."""
    audio_channel: str = "mix"
    """``mix``, ``left``, ``right`` or a 0-based number."""
    audio_track: str | None = None
    """Audio track of the file: a 0-based number, or a language as the file states it, such as
    ``eng``; None: the track marked as default, else the first."""
    text: str | None = None
    split: str | None = None
    """``train``, ``val`` or ``test``; None: no split column, or an empty cell."""
    dialogue: str | None = None
    """Unique over the whole manifest (``split/value`` when a value stands in several splits)."""
    turn: int | None = None
    """0-based place in its dialogue; None: clips of a dialogue follow one another as rows do."""
    speaker: str | None = None
    start_seconds: float | None = None
    """In the clip's own file; so is ``end_seconds``."""
    end_seconds: float | None = None
    targets: dict[str, str] = field(default_factory=dict)
    """Every other column; an empty cell is left out."""


@dataclass(frozen=True)
class Manifest:
    """The clips of one file."""

    path: Path
    root: Path
    """The folder that ``Clip.video`` and ``Clip.audio`` are relative to and never leave."""
    clips: tuple[Clip, ...]
    sha256: str
    """Of the file's bytes."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """``{ours: theirs}``, with which the file was read."""

    def media_path(self, relative: str) -> Path:
        """Where a clip's ``video`` or ``audio`` lies, absolute.

        Raises:
            ManifestError: the path leaves ``root``.
        """
        root = os.path.abspath(self.root)
        try:
            return Path(root, cells.inside(relative, root))
        except ValueError as error:
            raise ManifestError(str(error)) from error


@dataclass(frozen=True)
class ManifestProblem:
    """A row that makes a manifest unreadable."""

    kind: Literal["row", "duplicate"]
    message: str
    """Names the row, what was expected and what was found."""


def read_manifest(
    path: Path, *, columns: Mapping[str, str] = MappingProxyType({}), root: Path | None = None
) -> Manifest:
    """Read and check the clips of a CSV, TSV, JSONL or Parquet file; opens no media.

    Args:
        path: the file.
        columns: ``{ours: theirs}`` for columns under other names, ``{"label": "Emotion"}``.
        root: folder of the media; None: the manifest's own.

    Raises:
        ManifestError: the file, a column or a row cannot be used; the first such row is named.
    """
    manifest, problems = inspect_manifest(path, columns=columns, root=root)
    if problems:
        others = f" ({len(problems) - 1} more: `emo check {path}`)" if len(problems) > 1 else ""
        raise ManifestError(f"{path}: {problems[0].message}{others}")
    return manifest


def inspect_manifest(
    path: Path, *, columns: Mapping[str, str] = MappingProxyType({}), root: Path | None = None
) -> tuple[Manifest, list[ManifestProblem]]:
    """As :func:`read_manifest`, but lists the rows at fault, for `emo check`.

    Rows that cannot be read are left out of the manifest; of two clips with one id both stay.

    Raises:
        ManifestError: the file or its columns cannot be used at all.
    """
    manifest, problems = parse_rows(rename(read_rows(path), columns, path), path, root=root)
    return replace(manifest, columns=dict(columns)), problems


def parse_rows(
    rows: TextTable, path: Path, *, root: Path | None = None
) -> tuple[Manifest, list[ManifestProblem]]:
    """The clips of a table that was read from ``path``, or will be written there."""
    if root is not None and not root.is_dir():
        raise ManifestError(f"--root {root}: no such folder")
    folder = os.path.abspath(path.parent if root is None else root)
    _check_columns(rows, path)
    table = {name: [*map(str.strip, column)] for name, column in rows.columns.items()}
    values, errors = cells.parse_columns(table, COLUMNS, count=len(rows.origins), root=folder)
    values["id"] = _ids(values)
    values["dialogue"] = _dialogues(values)
    others = {name: column for name, column in table.items() if name not in COLUMNS}
    targets = zip(*others.values(), strict=True) if others else repeat(())
    clips, origins, problems = [], [], []
    lines = zip(zip(*values.values(), strict=True), targets, strict=False)
    for number, (line, labels) in enumerate(lines):
        named = zip(others, labels, strict=True)
        clip = Clip(*[*line, {name: label for name, label in named if label}])
        error = errors.get(number) or _contradiction(clip)
        if error:
            problems.append(ManifestProblem("row", f"{rows.origins[number]}: {error}"))
        else:
            clips.append(clip)
            origins.append(rows.origins[number])
    problems += _duplicates(clips, origins)
    return Manifest(path, Path(folder), tuple(clips), rows.sha256), problems


def _check_columns(rows: TextTable, path: Path) -> None:
    found = ", ".join(map(repr, rows.columns)) or "none"
    if not {"video", "audio", "text"} & rows.columns.keys():
        raise ManifestError(
            f"{path}: expected a column video, audio or text; found {found}. If one of these holds "
            "the path or the words, say so: --column video=NAME, --column text=NAME"
        )
    if not rows.origins:
        raise ManifestError(f"{path}: no clips; expected one row a clip below the header")


def _ids(values: Mapping[str, list[Any]]) -> list[str]:
    """Return the ids: as given, else made of split, dialogue and turn, else of file, times, channel
    and track, else of the words.
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
            ids.append(f"{video or audio}{stretch}")
        else:
            ids.append(_text_id(text or "", texts))
    return ids


def _text_id(text: str, texts: Counter[str]) -> str:
    """Made of the words, not of the row: the id outlives rows put in before this one."""
    name = f"text/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    texts[name] += 1
    return name if texts[name] == 1 else f"{name}/{texts[name]}"


def _dialogues(values: Mapping[str, list[Any]]) -> list[str | None]:
    """``split/value`` where a value stands in several splits, for it means several dialogues."""
    pairs = list(zip(values["dialogue"], values["split"], strict=True))
    splits = Counter(dialogue for dialogue, _ in set(pairs) if dialogue)
    return [
        f"{split}/{value}" if split and splits.get(value, 0) > 1 else value
        for value, split in pairs
    ]


def _contradiction(clip: Clip) -> str | None:
    if not (clip.video or clip.audio or clip.text):
        return "no video, no audio and no text; fill one of them, or delete the row"
    if clip.end_seconds is not None and clip.end_seconds <= (clip.start_seconds or 0):
        return (
            f"end_seconds {clip.end_seconds:g} is not after start_seconds "
            f"{clip.start_seconds or 0:g}"
        )
    return None


def _duplicates(clips: list[Clip], origins: list[str]) -> list[ManifestProblem]:
    first: dict[str, str] = {}
    problems = []
    for clip, origin in zip(clips, origins, strict=True):
        if clip.id in first:
            problems.append(
                ManifestProblem(
                    "duplicate",
                    f"{first[clip.id]} and {origin} have the same id {clip.id!r}; "
                    "give each row another one in the column id",
                )
            )
        first.setdefault(clip.id, origin)
    return problems
