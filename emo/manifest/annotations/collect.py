"""Make a manifest of files of annotations: one clip for each stretch of the chosen tiers."""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from emo import plugins
from emo.errors import ManifestError, plural
from emo.machine.untrusted.foreign import foreign_file
from emo.manifest.annotations.files import FormatClass, annotation_files
from emo.manifest.annotations.format import Annotations, Stretch
from emo.manifest.annotations.media import FoundMedia, MediaFinder
from emo.manifest.cells import stretch
from emo.manifest.clips import Manifest
from emo.manifest.make import save
from emo.manifest.naming.facts import fact, first_files
from emo.manifest.tables.text_table import TextTable

_COLUMNS = (
    "id", "video", "audio", "text", "speaker", "start_seconds", "end_seconds", "label", "tier",
)  # fmt: skip


@dataclass(frozen=True)
class AnnotationRequest:
    """Options of `emo manifest annotations`."""

    format: str | None = None
    """Format of all files; None: their extensions tell it."""
    tiers: tuple[str, ...] = ()
    """Tiers whose annotations become clips; empty: all but ``text_tiers``."""
    text_tiers: tuple[str, ...] = ()
    """Tiers whose words are the ``text`` of the clips that they are said in."""
    speakers: tuple[str, ...] = ()
    """Speakers whose annotations become clips; empty: all."""
    values: Literal["label", "text"] | None = None
    """Column of what the annotations say; None: the usual one of the format."""
    are_tiers_speakers: bool = False
    """Whether a tier's name is the name of the speaker."""
    media: Path | None = None
    """Folder of the media; None: they lie beside the files of annotations."""


@dataclass(frozen=True, eq=False)
class AnnotatedManifest:
    """The manifest that was written, and what was found."""

    manifest: Manifest
    """The manifest as written."""
    facts: list[dict[str, object]]
    """A table row for each tier: clips and values."""
    notes: list[str]
    """Lines for people: what was left out."""
    failures: tuple[str, ...] = ()
    """Lines on recordings without media and files that cannot be read, which make no clips."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 3 when a file or recording made no clips, else 0."""
        return 3 if self.failures else 0


def from_annotations(
    sources: Sequence[Path], *, out: Path, request: AnnotationRequest = AnnotationRequest()
) -> AnnotatedManifest:
    """Write a manifest with a clip for each annotation.

    A recording without media, and a file among several that cannot be read, is left out and named.

    Args:
        sources: files of annotations, and folders of them.
        out: the manifest to write.
        request: which annotations, and where media lie.

    Raises:
        ManifestError: no file is of its format, none has media, a tier or speaker does not occur,
            or ``out`` exists with another content.
    """
    found = _Gathered()
    finders: dict[Path, MediaFinder] = {}
    for path, base, kind in annotation_files(sources, request.format):
        finder = finders.setdefault(base, MediaFinder(base, request.media))
        try:
            with foreign_file(path, ManifestError, "not a file of annotations that can be read"):
                read = kind.read(path)
        except ManifestError as error:
            found.unread.append(error)
            continue
        _gather(path, kind, read, finder, request, found)
    if found.unread and not (found.rows or found.without):
        raise found.unread[0]
    _check_names(request, found.names)
    failures = _failures(found)
    if found.without and not found.rows:
        raise ManifestError(failures[0])
    if not found.rows:
        raise ManifestError(f"{', '.join(map(str, sources))}: no annotations that can be clips")
    base = Path(os.path.commonpath([os.path.dirname(_media_of(row)) for row in found.rows]))
    _number_doubles(found.rows, base)
    manifest = save(_table(found.rows, found.origins), out, base=base)
    notes = [f"left out: {count:,} {why}" for why, count in found.left_out.items() if count]
    if outside := [name for finder in finders.values() for name in finder.outside]:
        notes.append(f"not read, outside of the folder: {first_files(outside)}")
    return AnnotatedManifest(manifest, _facts(found.rows), [*notes, *found.notes], failures)


@dataclass(eq=False)
class _Gathered:
    """What was found in the files so far."""

    rows: list[dict[str, str]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    names: dict[str, set[str]] = field(default_factory=lambda: {"tier": set(), "speaker": set()})
    without: list[str] = field(default_factory=list)
    """Files whose media were not found."""
    unread: list[ManifestError] = field(default_factory=list)
    """Why files cannot be read."""
    notes: list[str] = field(default_factory=list)
    """Lines for people on what was read."""


def _failures(found: _Gathered) -> tuple[str, ...]:
    """Return lines on what made no clips."""
    lines = [f"not read: {error}" for error in found.unread]
    if found.without:
        lines.insert(
            0,
            f"{plural(len(found.without), 'recording')} without media: "
            f"{first_files(found.without)}; they are looked for beside the annotations under the "
            "same name, or say --media FOLDER",
        )
    return tuple(lines)


def _gather(
    path: Path, kind: FormatClass, read: Annotations, finder: MediaFinder,
    request: AnnotationRequest, found: _Gathered,
) -> None:  # fmt: skip
    """Add the rows of one file, which was read, to ``found``."""
    found.notes += read.notes
    stretches = [_with_speaker(each, request) for each in read.stretches]
    found.names["tier"].update(each.tier for each in stretches if each.tier)
    found.names["speaker"].update(each.speaker for each in stretches if each.speaker)
    found.left_out.update(read.left_out)
    said = _Words([each for each in stretches if each.tier in request.text_tiers])
    media: dict[str, FoundMedia | None] = {}
    for each in _chosen(stretches, request, found.left_out):
        name = each.recording
        if name not in media:
            media[name] = finder.find(path, name, read.media)
            if media[name] is None:
                found.without.append(f"{path} ({name})" if name else str(path))
        if (at := media[name]) is None:
            continue
        row = _row(each, at, request.values or kind.holds, said)
        if row is None:
            found.left_out["before the beginning of the media"] += 1
        else:
            found.rows.append(row)
            found.origins.append(f"{path}, {_clock(each)}")


def _with_speaker(each: Stretch, request: AnnotationRequest) -> Stretch:
    """Return a stretch whose speaker is the tier's name where that is asked for."""
    return replace(each, speaker=each.tier) if request.are_tiers_speakers else each


def _chosen(
    stretches: Sequence[Stretch], request: AnnotationRequest, left_out: Counter[str]
) -> list[Stretch]:
    """Return the stretches that become clips, and count the others in ``left_out``."""
    chosen = []
    for each in stretches:
        if each.tier in request.text_tiers or (request.tiers and each.tier not in request.tiers):
            continue
        if request.speakers and each.speaker not in request.speakers:
            continue
        is_empty = not (each.value or each.text) and (each.tier or not each.speaker)
        if is_empty:
            left_out["empty annotations"] += 1
        elif each.end_ms <= each.start_ms:
            left_out["annotations without duration"] += 1
        else:
            chosen.append(each)
    return chosen


class _Words:
    """The words of text tiers, by the middle of the stretch in which they are said."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        """Sort the stretches by their middle."""
        self.stretches = sorted(stretches, key=lambda each: each.start_ms + each.end_ms)
        self.middles = [(each.start_ms + each.end_ms) / 2 for each in self.stretches]

    def within(self, clip: Stretch) -> str:
        """Return what the clip's speaker says in it; words without a speaker are of all."""
        first = bisect_left(self.middles, clip.start_ms)
        last = bisect_left(self.middles, clip.end_ms)
        said = [
            each.value
            for each in self.stretches[first:last]
            if each.recording == clip.recording
            and (not each.speaker or not clip.speaker or each.speaker == clip.speaker)
        ]
        return " ".join(filter(None, said))


def _row(each: Stretch, at: FoundMedia, column: str, said: _Words) -> dict[str, str] | None:
    """Return the row of a stretch; None: it lies before the beginning of the media."""
    video, audio, offset = at
    start, end = each.start_ms + offset, each.end_ms + offset
    if start < 0:
        return None
    row = {
        "video": video, "audio": audio, "speaker": each.speaker, "tier": each.tier,
        "start_seconds": _seconds(start), "end_seconds": _seconds(end),
        "text": each.text or said.within(each),
    }  # fmt: skip
    if column == "text" and row["text"]:
        return {**row, "label": each.value}
    return {**row, column: each.value or row.get(column, "")}


def _seconds(milliseconds: int) -> str:
    """Return milliseconds as seconds, exactly.

    >>> _seconds(2345), _seconds(1000), _seconds(1500)
    ('2.345', '1', '1.5')
    """
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")


def _clock(each: Stretch) -> str:
    return f"{each.tier or 'annotation'} at {_seconds(each.start_ms)} s"


def _media_of(row: dict[str, str]) -> str:
    """Return the path of a row's video, or of its sound if it has no video."""
    return row["video"] or row["audio"]


def _number_doubles(rows: Sequence[dict[str, str]], base: Path) -> None:
    """Give rows an id whose file and times another row has, too: with the tier or speaker."""
    keys = [(_media_of(row), row["start_seconds"], row["end_seconds"]) for row in rows]
    counts, seen = Counter(keys), Counter[str]()
    for (path, start, end), row in zip(keys, rows, strict=True):
        if counts[path, start, end] > 1:
            file = os.path.relpath(path, base).replace(os.sep, "/")
            times = stretch(float(start), float(end), "mix")
            name = f"{file}{times}#{row['tier'] or row['speaker'] or 'again'}"
            seen[name] += 1
            row["id"] = name if seen[name] == 1 else f"{name}#{seen[name]}"


def _table(rows: Sequence[dict[str, str]], origins: list[str]) -> TextTable:
    """Return the rows as a table without empty columns; ``tier`` only where there are several."""
    columns = {name: [row.get(name, "") for row in rows] for name in _COLUMNS}
    if len({*columns["tier"]}) < 2:
        del columns["tier"]
    return TextTable({name: cells for name, cells in columns.items() if any(cells)}, origins)


def _facts(rows: Sequence[dict[str, str]]) -> list[dict[str, object]]:
    """Return a table row for each tier."""
    tiers = dict.fromkeys(row["tier"] for row in rows)
    table = []
    for tier in tiers:
        inner = [row for row in rows if row["tier"] == tier]
        is_label = any(row.get("label") for row in inner)
        column = "label" if is_label else "speaker" if any(r["speaker"] for r in inner) else "text"
        table.append(fact(column, tier or "all", [row.get(column, "") for row in inner]))
    return table


def _check_names(request: AnnotationRequest, names: dict[str, set[str]]) -> None:
    """Raise ManifestError when a tier or speaker that is asked for occurs in no file."""
    asked = {"tier": (*request.tiers, *request.text_tiers), "speaker": request.speakers}
    for what, wanted in asked.items():
        for name in wanted:
            if name not in names[what]:
                raise ManifestError(plugins.unknown(what, name, sorted(names[what])))
