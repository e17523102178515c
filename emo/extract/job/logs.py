"""Write and read the logs of a job: one file per worker, a JSON line for every clip and part."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

from emo.extract.job.files.files_of import files_of
from emo.extract.job.journal import FRESH_SECONDS, log_name, me
from emo.extract.job.timings import StageTotals, WorkTotals
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.kinds import Fields, ListOf, MapOf, Where
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location

BEAT_SECONDS = FRESH_SECONDS / 4
"""How often a living worker updates the time of its log file."""

MOST_LOG_BYTES = 2**32
"""Largest log of a worker that is read, 4 GiB."""
_SHORTEST_ID = 3
"""Letters of the shortest id that is taken out of the kind of a failure."""
MOST_LINE = 2**24
"""Longest line of a log that is read, in bytes."""
_SECONDS = Where(float, lambda seconds: 0 <= seconds < 1e12, "seconds")
_STAGE_KEYS = {each.name for each in fields(StageTotals)}
_WORK = Fields(
    {
        "wall_seconds": _SECONDS,
        "on_gpu_seconds": _SECONDS,
        "stages": MapOf(
            Where(MapOf(_SECONDS), lambda stage: stage.keys() <= _STAGE_KEYS, "times of a stage")
        ),
    }
)
_LINE = Fields(
    {},
    {
        "event": str, "time": str, "clip": str, "seconds": MapOf(_SECONDS), "failed": MapOf(str),
        "work": _WORK, "part": int, "clips": int, "fetched": ListOf(_SECONDS),
    },
)  # fmt: skip


class TaskLog:
    """Log of one worker, whose lines are complete after a kill.

    On a disk each line is written at once; in a bucket the lines of clips with the commit of their
    part, or after half a minute.
    """

    def __init__(self, folder: Location, **facts: object) -> None:
        """Start the log ``<machine>-<pid>-<word>.jsonl`` with a line of ``facts``.

        Args:
            folder: folder of the workers' logs.
            facts: facts about the worker, such as its device.

        Raises:
            StoreError: the file cannot be written.
        """
        self.path = folder / log_name(me())
        try:
            self._file = files_of(folder).log(self.path.name)
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
        """Note regularly that the worker is alive, for other machines."""
        while not self._is_closed.wait(BEAT_SECONDS):
            self._file.touch()

    def write(self, event: str, **facts: object) -> None:
        """Write one line: the time, the name of an event, and facts about the event.

        Raises:
            StoreError: the file cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **facts}
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        try:
            self._file.write(data, is_kept=event != "clip")
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error


def read_logs(folder: Location) -> Iterator[dict[str, Any]]:
    """Yield the lines of all workers, file by file, without incomplete and damaged lines."""
    files = files_of(folder)
    for name in files.names(".jsonl"):
        for line in files.log_lines(name, MOST_LOG_BYTES, MOST_LINE):
            with suppress(DocumentError):  # incomplete, perhaps cut inside a character
                yield parse_checked(line, _LINE)


RECENT_SECONDS = 300
"""Seconds before the last clip over which the rate of clips is measured."""


@dataclass
class LogFacts:
    """Summary of the workers' logs."""

    clips: int = 0
    """Number of clips that went through a worker, including repeated ones."""
    clips_per_second: float | None = None
    """Rate of all workers together; None: there are too few clips to tell."""
    stage_seconds: Counter[str] = field(default_factory=Counter)
    """Name of a stage -> core seconds of all workers."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Kind of failure -> count; a kind is a reason without file names, numbers, quoted words."""
    examples: dict[str, str] = field(default_factory=dict)
    """Kind of failure -> id of a clip that failed so, and the full reason."""
    work: WorkTotals = field(default_factory=WorkTotals)
    """Busy and waiting times of each stage, summed over workers."""


def log_facts(folder: Location) -> LogFacts:
    """Sum up the workers' logs in a folder."""
    facts, times, starts = LogFacts(), list[float](), list[float]()
    for line in read_logs(folder):
        if "work" in line:
            facts.work.add(WorkTotals.from_json(line["work"]))
        moment = _moment(line)
        if line.get("event") == "start" and moment is not None:
            starts.append(moment)
        if line.get("event") != "clip":
            continue
        if moment is None or not {"seconds", "clip"} <= line.keys():
            continue
        facts.clips += 1
        facts.stage_seconds.update(line["seconds"])
        times.append(moment)
        _count_reasons(facts, line)
    facts.clips_per_second = _clips_per_second(times, starts)
    return facts


def _moment(line: Mapping[str, Any]) -> float | None:
    """Return the time of a line in seconds; None: it has none."""
    try:
        return datetime.fromisoformat(line["time"]).timestamp()
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _count_reasons(facts: LogFacts, line: Mapping[str, Any]) -> None:
    for recipe, reason in line.get("failed", {}).items():
        kind = re.sub(r"'[^']*'|\S*[/\\]\S*|\d+", "…", _without_id(reason, line["clip"]))
        facts.reasons[kind] += 1
        facts.examples.setdefault(kind, f"{line['clip']} ({recipe}): {reason}")


def _without_id(reason: str, clip_id: str) -> str:
    """Return a reason without the clip's id, so that clips that failed alike are counted together.

    Very short ids stay, because they may be words.
    """
    if len(clip_id) < _SHORTEST_ID or clip_id not in reason:
        return reason
    return re.sub(rf"(?<!\w){re.escape(clip_id)}(?!\w)", "…", reason)


def _clips_per_second(times: Sequence[float], starts: Sequence[float]) -> float | None:
    """Return the rate of the latest clips; None: there are too few to tell.

    The clips of a part may be noted all at once, so their time began with what was noted before
    them: an earlier clip, or the start of a worker.
    """
    recent = [moment for moment in times if moment > max(times) - RECENT_SECONDS]
    if len(recent) < 2:
        return None
    first, last = min(recent), max(recent)
    earlier = [moment for moment in (*times, *starts) if moment < first]
    seconds = last - max(earlier, default=first)
    return len(recent) / seconds if seconds > 0 else None
