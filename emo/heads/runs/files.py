"""Names of the files of a run folder, reading run.json, and writing tables; imports no torch."""

import contextlib
import csv
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import FitError
from emo.heads.runs.document import RUN, check_entries
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES, parse_checked, shortened
from emo.machine.untrusted.files import read_regular
from emo.manifest.tables.spreadsheet import table_file, table_sha256

RUN_FILE, WEIGHTS_FILE = "run.json", "head.safetensors"
CLIPS_FILE = "clips.csv"
OLDER = ".old-"
"""Start of the name of a folder beside a run that holds the older run while it is replaced."""
MOST_PICTURED = 40
"""Largest number of classes of which a run has a plot of the confusion."""
_RUN_FILES = {RUN_FILE, WEIGHTS_FILE, CLIPS_FILE, "history.csv", "curves.png", "search.csv"}
_TARGET_FILES = (("predictions", ".csv"), ("confusion", ".png"), ("numbers", ".png"))
RUN_FORMAT_VERSION = 1
"""Version of the run folder's format."""
COPIES: dict[Path, str] = {}
"""Copy on this machine of a run in a bucket -> its URL, of the runs that this process read."""


def shown_path(path: Path) -> str:
    """Return a path of a run for people: the URL of one in a bucket, not that of its copy here."""
    for copy, url in COPIES.items():
        if path == copy or copy in path.parents:
            return "/".join([url, *path.relative_to(copy).parts])
    return str(path)


def predictions_file(target: str, *, is_first: bool) -> str:
    """Return the name of the file with a target's predictions.

    Args:
        target: name of the target.
        is_first: whether it is the run's first target, whose file is called ``predictions.csv``.
    """
    return "predictions.csv" if is_first else f"predictions-{file_name(target)}.csv"


def file_name(target: str) -> str:
    """Return a target's name with characters that a file name cannot have replaced by ``%XX``.

    Different targets have different file names.
    """
    return "".join(
        letter if letter.isalnum() or letter in "-_." else f"%{ord(letter):02X}"
        for letter in target
    )


def files_of_others(run: Path) -> list[Path]:
    """Return the files and folders in a run folder that the run did not write."""
    try:
        targets = [each["name"] for each in read_document(run).get("targets", ())]
    except FitError:
        targets = []
    marks = ["", *(f"-{file_name(name)}" for name in targets)]
    own = {f"{kind}{mark}{end}" for kind, end in _TARGET_FILES for mark in marks} | _RUN_FILES
    return [path for path in sorted(run.iterdir()) if path.name not in own] if run.is_dir() else []


def next_run(folder: Path) -> Path:
    """Return the path of a new numbered run: ``0001``, ``0002`` … after those in ``folder``."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    last = max((int(name) for name in names if name.isdecimal()), default=0)
    return folder / f"{last + 1:04}"


def move_back(out: Path) -> None:
    """Move back an older run that a killed or failed fit had moved away; remove empty folders.

    Args:
        out: folder of the run.
    """
    start = f"{OLDER}{out.name}-"
    for older in sorted(out.parent.iterdir()) if out.parent.is_dir() else ():
        if not older.name.startswith(start) or "-" in older.name.removeprefix(start):
            continue
        with contextlib.suppress(OSError):
            if (older / out.name / RUN_FILE).is_file() and not out.exists():
                os.rename(older / out.name, out)
            older.rmdir()  # fails if it still holds something


def check_free(out: Path, *, is_ablation: bool = False) -> None:
    """Check that no run would be replaced.

    Args:
        out: folder of the run, or of the runs of an ablation.
        is_ablation: look for runs inside ``out`` instead.

    Raises:
        FitError: there is a run; the message names ``--overwrite``.
    """
    move_back(out)
    runs = sorted(path.parent for path in out.glob(f"*/{RUN_FILE}")) if is_ablation else [out]
    for run in runs:
        if (run / RUN_FILE).is_file():
            raise FitError(f"{run} holds a run; --overwrite replaces it, or choose another --out")


def kept_columns(document: Mapping[str, Any], manifest: Path) -> dict[str, str]:
    """Return the renamed columns with which a run's manifest was read, ``{emo's: the file's}``.

    They are empty if ``manifest`` has other bytes than the run's manifest, and for runs that were
    written before columns were kept.

    Args:
        document: ``run.json`` of the run.
        manifest: path of a manifest.
    """
    own = document.get("manifest", {})
    file = table_file(manifest)
    if not own.get("columns") or not file.is_file():
        return {}
    is_same = table_sha256(manifest, file.read_bytes()) == own.get("sha256")
    return dict(own["columns"]) if is_same else {}


def read_document(path: Path) -> dict[str, Any]:
    """Read ``run.json`` of a run folder.

    Raises:
        FitError: the folder is no run, its file is damaged, or of another format version.
    """
    file = path / RUN_FILE
    try:
        data = read_regular(file, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True)
        document: dict[str, Any] = parse_checked(data, dict)
    except OSError as error:
        raise FitError(
            f"{path} is no run folder ({RUN_FILE}: {error.strerror}); emo fit-head --out makes one"
        ) from error
    except ValueError as error:
        raise FitError(f"{file}: damaged: {error}. Fit the run again.") from error
    version = document.get("format_version")
    if version != RUN_FORMAT_VERSION:
        raise FitError(
            f"{path}: expected a run of format {RUN_FORMAT_VERSION}, got "
            f"{shortened(str(version), 40)}; update emo, or fit the run again"
        )
    check_entries(file, document, RUN)
    names = [each["name"] for each in document.get("targets", ())]
    if names and (document.get("target") != names[0] or len(set(names)) < len(names)):
        raise FitError(f"{file}: damaged: its target is not the first of its targets, each once")
    return document


def known_number(value: float | None) -> float:
    """Return a score of ``run.json``, where an undefined one is null, as a float: NaN for null."""
    return math.nan if value is None else value


NOT_FINITE = frozenset(("", "nan", "inf", "-inf"))
"""Cells of a table of predictions that are no finite number."""


def check_probabilities(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Check that the probabilities of a table of predictions are finite.

    Args:
        path: the table, named in the error.
        columns: cells by name of the column, as text; those of ``p_<class>`` are probabilities.

    Raises:
        FitError: a probability is not finite; the head that predicted it had diverged.
    """
    for name, cells in columns.items():
        if name.startswith("p_") and not NOT_FINITE.isdisjoint(cells):
            bad = sum(cell in NOT_FINITE for cell in cells)
            raise FitError(
                f"{path}: {bad:,} of {len(cells):,} probabilities in column {name} are not finite: "
                "training of the head diverged. Fit it again with a smaller --learning-rate."
            )


Column = Sequence[object] | np.ndarray
"""Cells of one column of a table."""


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """Write columns of equal length as a CSV file, as ``DataFrame.to_csv(index=False)`` does.

    None and NaN are written as empty cells.
    """
    cells = [
        column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*map(_filled, cells), strict=True))


def _filled(cells: Sequence[object]) -> list[object]:
    """Return the cells with NaN replaced by ``""``; the csv module does that for None."""
    return ["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]
