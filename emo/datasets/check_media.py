"""Check which media files that the rows of a data set name are there and can be opened."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from emo.datasets.check.media import LONG_SECONDS, probe_all
from emo.datasets.dataset import Download, Row
from emo.datasets.tree import Tree
from emo.errors import DatasetError, plural
from emo.manifest import Clip
from emo.manifest.folder import AUDIO
from emo.manifest.make import MEDIA


@dataclass(frozen=True)
class CheckedRows:
    """The rows of a data set with usable media, and what is wrong with the other rows."""

    rows: list[Row]
    """Rows whose media can be used."""
    lacking: tuple[str, ...]
    """Files that are missing or cannot be opened, as ``path (reason)``."""
    notes: tuple[str, ...] = ()
    """Lines for people, shown in the report."""


@dataclass
class _Faults:
    """Paths of files with a fault, and the reasons."""

    missing: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    long: dict[str, str] = field(default_factory=dict)
    unread: str = ""
    """Why headers were not read; empty: they were."""

    def reason(self, path: str) -> str | None:
        """Return why a file cannot be used; None: the file can be used."""
        return self.missing.get(path) or self.broken.get(path)


def check_media(
    download: Download, tree: Tree, *, is_opened: bool, workers: int = 2, is_partial: bool = False
) -> CheckedRows:
    """Check every file that a row names.

    If no file of a whole column is there (the videos were not downloaded), the column is left out
    with a note. A row that lacks a file is left out and the file is listed, unless the published
    data lack it, too: then the row keeps its other files. For a partial download a row is kept with
    the media that it has, such as sound without pictures.

    Args:
        download: the rows of the data set.
        tree: the files of the download.
        is_opened: also read the header of each file.
        workers: files that are opened at the same time.
        is_partial: keep rows that have some of their media.

    Raises:
        DatasetError: no file at all is there, and the rows have no text.
    """
    rows, notes = _without_absent(download, tree)
    faults = _Faults()
    for path in dict.fromkeys(row[n] for row in rows for n in download.paths if row.get(n)):
        if path not in tree.all:
            faults.missing[path] = "missing"
    if is_opened:
        _open(rows, tree, faults, workers)
    kept, lacking, emptied = [], list(download.missing), []
    without: Counter[str] = Counter()
    for row in rows:
        rest, blocking, known = _without_faults(row, download, faults)
        lacking += blocking
        emptied += known
        has_some = is_partial and any(rest.get(name) for name in MEDIA)
        if has_some or (not blocking and any(rest.get(name) for name in (*MEDIA, "text"))):
            kept.append(rest)
            without.update(n for n in download.paths if blocking and row.get(n) and not rest[n])
    notes += [f"{plural(count, 'clip')} kept without {name}" for name, count in without.items()]
    notes += _summary("wrong in the published data, too; their rows are kept without", emptied)
    for why, paths in {**download.left_out, "no row names them": _unnamed(download, tree)}.items():
        notes += _summary(f"left out, {why}", paths)
    long = [f"{path} ({why})" for path, why in faults.long.items()]
    notes += _summary(f"clips over {LONG_SECONDS:g} s", long)
    if faults.unread:
        notes.append(f"the headers of the media were not read: {faults.unread}")
    return CheckedRows(kept, tuple(dict.fromkeys(lacking)), (*notes, *download.notes))


def _without_faults(
    row: Row, download: Download, faults: _Faults
) -> tuple[Row, list[str], list[str]]:
    """Return a row without unusable files, its other faults, and its tolerated faults."""
    wrong = {n: why for n in download.paths if (why := faults.reason(row.get(n, "")))}
    named = {name: f"{row[name]} ({why})" for name, why in wrong.items()}
    blocking = [text for name, text in named.items() if row[name] not in download.tolerated]
    known = [text for name, text in named.items() if row[name] in download.tolerated]
    rest = {name: "" if name in wrong else cell for name, cell in row.items()}
    return rest, blocking, known


def _without_absent(download: Download, tree: Tree) -> tuple[list[Row], list[str]]:
    """Return the rows without the columns of which no file is there, and a note for each."""
    notes, absent = [], set()
    for name in download.paths:
        wanted = [row[name] for row in download.rows if row.get(name)]
        if wanted and not any(path in tree.all for path in wanted):
            absent.add(name)
            notes.append(
                f"no {name}: none of {plural(len(wanted), 'file')} such as {wanted[0]} is there; "
                "the manifest has no such column"
            )
    left = {name for row in download.rows for name, cell in row.items() if cell} - absent
    if not left & {*MEDIA, "text"}:
        raise DatasetError(f"{tree.root}: {'; '.join(notes) or 'no rows'}, and there is no text")
    rows = [{k: v for k, v in row.items() if k not in absent} for row in download.rows]
    return rows, notes


def _open(rows: Sequence[Row], tree: Tree, faults: _Faults, workers: int) -> None:
    """Read the headers of all media, and record broken and long files in ``faults``."""
    paths = dict.fromkeys(
        row[name] for row in rows for name in MEDIA
        if row.get(name) and row[name] not in faults.missing
    )  # fmt: skip
    clips = [Clip(path, audio=path) if _is_sound(path) else Clip(path, path) for path in paths]
    probes = probe_all(clips, tree.root, fast=True, workers=workers)
    for path, probe in zip(paths, probes, strict=True):
        if probe.unread:
            faults.unread = probe.unread
        elif probe.fault or probe.missing:
            faults.broken[path] = _without_name(probe.fault or "not a file", path)
        elif probe.seconds is not None and probe.seconds > LONG_SECONDS:
            faults.long[path] = f"{probe.seconds:.0f} s"


def _is_sound(path: str) -> bool:
    """Return whether a file is audio by its extension."""
    return path.lower().endswith(AUDIO)


def _without_name(fault: str, path: str) -> str:
    """Remove the file's name from the start of a fault."""
    return fault.removeprefix(f"{path.rpartition('/')[2]}: ")


def _unnamed(download: Download, tree: Tree) -> list[str]:
    """Return the media files that no row names; stills, if any row names one."""
    named = {row.get(name, "") for row in download.rows for name in download.paths}
    named |= {path for paths in download.left_out.values() for path in paths}
    has_stills = not named.isdisjoint(tree.stills)
    found = (*tree.media, *(tree.stills if has_stills else ()))
    return [path for path in found if path not in named]


def _summary(what: str, paths: Iterable[str]) -> list[str]:
    """Return a note with the number of paths and the first of them; no paths: no note."""
    found = list(paths)
    shown = ", ".join(found[:3]) + (" …" if len(found) > 3 else "")
    return [f"{what}: {len(found):,}: {shown}"] if found else []
