"""The ledger of test scorings: which runs were scored on a test split before.

The more settings are tried on a test split, the less its best score means. The ledger is a file
of JSON lines beside the runs. A line is either a scoring, or a list of ids of test clips, which
scorings refer to by hash. A run names the earlier runs that were scored on any of its test clips.
"""

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emo.errors import FitError
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.kinds import Fields, ListOf

MOST_LEDGER_BYTES = 2**30
"""Largest ledger that is read, 1 GiB."""
_LINE = Fields(
    {}, {"clips": str, "ids": ListOf(str), "targets": ListOf(str), "asked": str, "run": str}
)
LEDGER = ".test-scorings.jsonl"
"""Name of the file."""


@dataclass(frozen=True)
class EarlierScorings:
    """Earlier scorings of other settings on any of the same test clips."""

    settings: int = 0
    """Number of other settings; one run's folder may have held several."""
    runs: tuple[str, ...] = ()
    """Names of the runs, each once."""

    def note(self) -> str:
        """Return a note for the reader of the scores."""
        shown = ", ".join(self.runs[:3]) + (" …" if len(self.runs) > 3 else "")
        return (
            f"test was scored before under {self.settings} other setting"
            f"{'s'[: self.settings > 1]} (by {shown}): choose by val, and report how many were "
            "tried"
        )


def record_scoring(
    out: Path, tested: Sequence[str], targets: Sequence[str], question: str, *,
    within: Path | None = None,
) -> EarlierScorings:  # fmt: skip
    """Add the scoring of a run to the ledger, and return the earlier ones of other settings.

    Args:
        out: folder of the run.
        tested: ids of its test clips; for a cross-validation, of all clips.
        targets: names of the targets.
        question: hash of options and clips, see :mod:`emo.heads.training.fingerprint`.
        within: a folder of runs, such as an ablation's, that holds ``out``; the ledger lies beside
            it. None: it lies beside ``out``.

    Returns:
        Scorings of any of these clips on any of these targets.

    Raises:
        FitError: the ledger cannot be read.
    """
    if not tested:
        return EarlierScorings()
    home = (within or out).absolute().parent
    lines = _lines(home / LEDGER)
    clips = {
        str(line["clips"]): set(line["ids"]) for line in lines if "ids" in line and "clips" in line
    }
    scorings = [line for line in lines if {"clips", "targets", "asked", "run"} <= {*line}]
    name = hashlib.sha256(json.dumps(sorted(tested)).encode()).hexdigest()[:16]
    run = out.absolute().relative_to(home).as_posix()
    entry = {"clips": name, "targets": sorted(targets), "asked": question, "run": run}
    ids = [] if name in clips else [{"clips": name, "ids": sorted(tested)}]
    _append(home / LEDGER, [*ids, *([] if entry in scorings else [entry])])
    seen = {known for known, others in clips.items() if not others.isdisjoint(tested)}
    found = [
        line for line in scorings
        if line["clips"] in seen and line["asked"] != question
        and not set(targets).isdisjoint(line["targets"])
    ]  # fmt: skip
    return EarlierScorings(
        len({line["asked"] for line in found}), tuple(dict.fromkeys(line["run"] for line in found))
    )


def _append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Append lines in one call, so that runs which end together do not mix their lines.

    Raises:
        OSError: the disk is full, perhaps after a part of the lines; :func:`_lines` skips that.
    """
    text = "".join(f"\n{json.dumps(line)}\n" for line in lines)  # the line before may be cut off
    data = text.encode()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    with os.fdopen(handle, "wb", buffering=0) as file:
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _lines(path: Path) -> list[dict[str, Any]]:
    """Read the ledger without lines that were cut off, for instance because the disk was full."""
    try:
        data = read_regular(path, most_bytes=MOST_LEDGER_BYTES, follow_links=True)
    except FileNotFoundError:
        return []
    except (OSError, UnfitFileError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FitError(f"{path}: the list of test scorings cannot be read: {why}") from error
    found = []
    for line in data.split(b"\n"):
        try:
            found.append(parse_checked(line, _LINE))
        except DocumentError:
            continue
    return found
