"""The report of `emo check`: a table of all findings, and tables of the classes by split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from emo.datasets.check.classes import class_tables
from emo.datasets.check.finding import Finding, error
from emo.datasets.check.media import BACKSLASHES, MISSING_FILES, media_findings
from emo.datasets.check.splits import row_findings
from emo.errors import line_of, plural
from emo.machine.table import format_table
from emo.manifest import Manifest, ManifestProblem, inspect_manifest

if TYPE_CHECKING:
    import pandas as pd


PACK_FILE = "emo-pack.json"
"""Name of the file that `emo store unpack` leaves beside a manifest."""


@dataclass(frozen=True, repr=False)
class CheckReport:
    """Result of checking a manifest and its files."""

    path: Path
    """Path of the manifest that was checked."""
    clips: int
    """Number of rows that could be read."""
    findings: tuple[Finding, ...]
    """All kinds of problems that were looked for, also those that were not found."""
    classes: tuple[list[dict[str, object]], ...]
    """A table for each target: number of clips of each class by split."""
    notes: tuple[str, ...] = ()
    """Lines on numbers that are written in another way than Python's, and how they were read."""

    @property
    def is_wrong(self) -> bool:
        """True when there is an error: training on the manifest would be wrong."""
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a kind of problem: ``finding``, ``severity``, ``count``, ``examples``."""
        import pandas as pd

        return pd.DataFrame([finding.row() for finding in self.findings])

    def __repr__(self) -> str:
        """Return the report as text for people."""
        return self.table()

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)

    def table(self) -> str:
        """Return the report as text for people."""
        kinds = [finding.severity for finding in self.findings]
        summary = (
            f"{self.path}: {plural(self.clips, 'clip')}; {plural(kinds.count('error'), 'error')}, "
            f"{plural(kinds.count('warning'), 'warning')}"
        )
        rows = [finding.row() for finding in self.findings]
        notes = "\n".join(line_of(f"- {note}") for note in self.notes)
        tables = [format_table(rows), *map(format_table, self.classes)]
        return "\n\n".join(filter(None, [*tables, notes, summary]))


def check(
    path: Path,
    *,
    columns: Mapping[str, str] = MappingProxyType({}),
    root: Path | None = None,
    fast: bool = False,
    workers: int = 2,
    target: str = "label",
    task: str | None = None,
) -> CheckReport:
    """Look for everything that would make training wrong.

    Args:
        path: the manifest.
        columns: columns under other names: our name -> the file's.
        root: folder of the media; None: the manifest's folder.
        fast: read the headers of files only; False: decode every clip to its end.
        workers: files that are opened at the same time.
        target: the column that will be trained. A class that train lacks is an error in this
            column, and a warning in others.
        task: task of the target; None: the task that its cells suggest, as in `emo fit-head`.

    Raises:
        ManifestError: the file or its columns cannot be used at all. Rows that cannot be used are
            findings.
    """
    manifest, problems = inspect_manifest(path, columns=columns, root=root)
    return check_manifest(manifest, problems, fast=fast, workers=workers, target=target, task=task)


def check_manifest(
    manifest: Manifest,
    problems: Sequence[ManifestProblem] = (),
    *,
    fast: bool = False,
    workers: int = 2,
    target: str = "label",
    task: str | None = None,
) -> CheckReport:
    """Look for everything that would make training on these clips wrong.

    Args:
        manifest: the clips.
        problems: the rows that could not be read, from :func:`emo.manifest.inspect_manifest`.
        fast: read the headers of files only; False: decode every clip to its end.
        workers: files that are opened at the same time.
        target: the column that will be trained.
        task: task of the target; None: the task that its cells suggest.
    """
    media = media_findings(manifest, fast=fast, workers=workers)
    media, at_home = _at_home(manifest, media)
    findings = [
        error("unreadable rows", [p.message for p in problems if p.kind == "row"]),
        error("duplicate ids", [p.message for p in problems if p.kind == "duplicate"]),
        *media,
        *row_findings(manifest.clips, target, task),
    ]
    tables = tuple(class_tables(manifest.clips, target, task))
    notes = tuple(f"{name}: {note}" for name, note in manifest.number_notes.items())
    return CheckReport(
        manifest.path, len(manifest.clips), tuple(findings), tables, (*notes, *at_home)
    )


def _at_home(
    manifest: Manifest, findings: Sequence[Finding]
) -> tuple[list[Finding], tuple[str, ...]]:
    """Return the findings without missing files where a pack was unpacked, and a line about them.

    A pack has features and labels; media are not expected beside them.
    """
    missing = next((each.found for each in findings if each.name == MISSING_FILES), ())
    if not missing or not manifest.path.with_name(PACK_FILE).is_file():
        return list(findings), ()
    kept = [
        replace(each, found=()) if each.name in (MISSING_FILES, BACKSLASHES) else each
        for each in findings
    ]
    line = (
        f"media stayed at home: {plural(len(missing), 'file')} of this unpacked class; its "
        "features are in the store beside the manifest"
    )
    return kept, (line,)
