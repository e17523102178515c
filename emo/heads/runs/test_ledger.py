"""Which runs scored a test split before: the more settings were tried on it, the less it says.

Lines of JSON in a file beside the runs. A line is a scoring, or the ids of the test clips that
scorings name by their hash. A run names those before it that saw any of its test clips.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEDGER = ".test-scorings.jsonl"


@dataclass(frozen=True)
class Earlier:
    """Who looked at any of the same test clips before, under other settings."""

    settings: int = 0
    """How many; of one ``--out`` there may be many."""
    runs: tuple[str, ...] = ()
    """Their names, each once."""

    def note(self) -> str:
        """For the reader of the scores."""
        shown = ", ".join(self.runs[:3]) + (" …" if len(self.runs) > 3 else "")
        return (
            f"test was scored before under {self.settings} other setting"
            f"{'s'[: self.settings > 1]} (by {shown}): choose by val, and report how many were "
            "tried"
        )


def record(
    out: Path, tested: Sequence[str], targets: Sequence[str], asked: str, *,
    within: Path | None = None,
) -> Earlier:  # fmt: skip
    """Write down that a run scores these clips.

    Args:
        out: the run.
        tested: the ids of its test clips; of a cross-validation, all clips.
        targets: what is predicted of them.
        asked: the name of what was asked, see :mod:`emo.heads.training.fingerprint`.
        within: a folder of runs, such as an ablation, that holds ``out``; the ledger lies beside
            it. None: beside ``out``.

    Returns:
        The runs there that scored any of these clips on one of these targets before.
    """
    if not tested:
        return Earlier()
    home = (within or out).absolute().parent
    lines = _lines(home / LEDGER)
    clips = {str(line["clips"]): set(line["ids"]) for line in lines if {"clips", "ids"} <= {*line}}
    scorings = [line for line in lines if {"clips", "targets", "asked", "run"} <= {*line}]
    name = hashlib.sha256(json.dumps(sorted(tested)).encode()).hexdigest()[:16]
    run = out.absolute().relative_to(home).as_posix()
    entry = {"clips": name, "targets": sorted(targets), "asked": asked, "run": run}
    ids = [] if name in clips else [{"clips": name, "ids": sorted(tested)}]
    _append(home / LEDGER, [*ids, *([] if entry in scorings else [entry])])
    seen = {known for known, others in clips.items() if not others.isdisjoint(tested)}
    found = [
        line for line in scorings
        if line["clips"] in seen and line["asked"] != asked
        and not set(targets).isdisjoint(line["targets"])
    ]  # fmt: skip
    return Earlier(
        len({line["asked"] for line in found}), tuple(dict.fromkeys(line["run"] for line in found))
    )


def _append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """In one call, so that runs that end together do not write into each other's lines."""
    text = "".join(f"\n{json.dumps(line)}\n" for line in lines)  # a line before may be cut
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    with os.fdopen(handle, "wb", buffering=0) as file:
        file.write(text.encode())


def _lines(path: Path) -> list[dict[str, Any]]:
    """A line that was cut when the disk was full is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
