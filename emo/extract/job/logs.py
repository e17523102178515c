"""Logs of a job: one file a worker, a JSON line for every clip and part; reading them again."""

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from emo.extract.job.journal import FRESH_SECONDS, log_name, me
from emo.extract.job.timings import WorkTotals
from emo.store.backend.commit import cannot_write

BEAT_SECONDS = FRESH_SECONDS / 4


class TaskLog:
    """One worker's; every line is written out at once, so that a killed worker leaves it whole."""

    def __init__(self, folder: Path, **facts: object) -> None:
        """Start ``<machine>-<pid>-<word>.jsonl`` with a line of ``facts``."""
        self.path = folder / log_name(me())
        try:
            # unbuffered: what a full disk refused must not be tried again when the file is closed
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(folder, error) from error
        self.write("start", **facts)
        self._is_closed = threading.Event()
        threading.Thread(target=self._stay_fresh, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        self._file.close()

    def _stay_fresh(self) -> None:
        """By the file's time other machines know that its worker lives, however long a clip is."""
        while not self._is_closed.wait(BEAT_SECONDS):
            with suppress(OSError):  # the folder is out of reach; writing to it will tell
                os.utime(self.path)

    def write(self, event: str, **facts: object) -> None:
        """One line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **facts}
        try:
            self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error


def read_logs(folder: Path) -> Iterator[dict[str, Any]]:
    """All lines of all workers, file by file; a line that was cut is left out."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:  # cut, perhaps inside a letter
                    continue


RECENT_SECONDS = 300
"""The rate is that of the last five minutes in which anything was done."""


@dataclass
class LogFacts:
    """What the workers' logs tell, summed up."""

    clips: int = 0
    """Clips that went through a worker, repeated ones too."""
    clips_per_second: float | None = None
    """Of all workers together; None: too little is known."""
    stage_seconds: Counter[str] = field(default_factory=Counter)
    """Core seconds by stage."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Failures by kind; file names, numbers and quoted words are left out."""
    examples: dict[str, str] = field(default_factory=dict)
    """Kind of failure -> a clip and its reason in full."""
    work: WorkTotals = field(default_factory=WorkTotals)
    """Where the workers' time went."""


def log_facts(folder: Path) -> LogFacts:
    """Sum up the logs."""
    facts, times = LogFacts(), []
    for line in read_logs(folder):
        if "work" in line:
            facts.work.add(WorkTotals.from_json(line["work"]))
        if line.get("event") != "clip":
            continue
        facts.clips += 1
        facts.stage_seconds.update(line["seconds"])
        times.append(datetime.fromisoformat(line["time"]).timestamp())
        _count_reasons(facts, line)
    facts.clips_per_second = _clips_per_second(times)
    return facts


def _count_reasons(facts: LogFacts, line: Mapping[str, Any]) -> None:
    for recipe, reason in line.get("failed", {}).items():
        kind = re.sub(r"'[^']*'|\S*[/\\]\S*|\d+", "…", reason)
        facts.reasons[kind] += 1
        facts.examples.setdefault(kind, f"{line['clip']} ({recipe}): {reason}")


def _clips_per_second(times: list[float]) -> float | None:
    recent = [moment for moment in times if moment > max(times) - RECENT_SECONDS]
    if len(recent) < 2 or max(recent) == min(recent):
        return None
    return (len(recent) - 1) / (max(recent) - min(recent))
