"""`emo job status`: how far a job is, told by its store, the scheduler and the workers' logs."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from emo.errors import line_of
from emo.extract.job.files.claims import live_workers
from emo.extract.job.folder import JobFolder, open_job
from emo.extract.job.journal import is_at_work
from emo.extract.job.logs import LogFacts, log_facts
from emo.extract.job.missing import failed_clips, missing_parts
from emo.extract.job.paths import is_submitted, short, typed
from emo.extract.job.slurm_queue import task_states
from emo.extract.job.timings import stage_lines
from emo.machine.table import format_facts, format_table
from emo.store.backend.location import Location
from emo.store.store import Store

SHOWN_REASONS = 8
"""Kinds of failures that are shown, the most frequent first."""
WATCH_SECONDS = 5.0
"""Seconds between two lines of :func:`watch`."""


@dataclass(frozen=True)
class Status:
    """The state of a job at one moment."""

    folder: JobFolder
    clips: int
    """Number of clips in the job."""
    missing: dict[int, int]
    """Part -> number of clips of the part that no worker has committed."""
    running: frozenset[int]
    """Numbers of the parts that workers have in progress, as far as journals and Slurm tell."""
    queued: Counter[str]
    """Number of Slurm's tasks by state; empty where Slurm does not answer."""
    failed: int
    """Number of clips that are recorded as failed."""
    deaths: int
    """Number of workers that died with clips in progress."""
    logs: LogFacts
    workers: int = 0
    """Number of `emo job work` that have shown a sign of life in the last two minutes."""
    is_submitted: bool = True
    """Whether the job was begun or handed to a scheduler."""

    @property
    def is_done(self) -> bool:
        """Whether every clip is committed."""
        return not self.missing

    @property
    def is_over(self) -> bool:
        """Whether the job is done, or no worker runs and no task waits."""
        return self.is_done or not (self.running or self.queued or self.workers)

    def table(self) -> str:
        """Return the status as text, with the command that continues the job if one is needed."""
        parts, left = len(self.folder.parts), sum(self.missing.values())
        waiting = len(self.missing) - len(self.running)
        done = self.clips - left
        rows = [
            ("parts", f"{parts:,}: {parts - len(self.missing):,} done, "
             f"{len(self.running):,} running, {waiting:,} to do"),
            ("clips", f"{self.clips:,}: {done:,} done ({self.failed:,} of them failed), "
             f"{left:,} to do"),
            ("rate", _rate(self.logs.clips_per_second, left, bool(self.running or self.queued))),
        ]  # fmt: skip
        if self.queued:
            states = ", ".join(f"{count} {state}" for state, count in sorted(self.queued.items()))
            rows.append(("Slurm tasks", states))
        if self.workers:
            rows.append(("emo job work", f"{self.workers:,} of them"))
        if self.logs.stage_seconds:
            rows.append(("a clip takes", self._stages()))
        if self.deaths:
            rows.append(("dead workers", f"{self.deaths} with clips in hand, see journal/"))
        rows.append(("store", str(short(self.folder.job.store))))
        lines = [f"job {short(self.folder.path)}", format_facts(rows, indent="  ")]
        if stages := stage_lines(self.logs.work):
            lines += ["", *stages]
        if self.logs.reasons:
            lines += ["", self._failures()]
        lines += [line_of(f"note: {note}") for note in self.folder.notes]
        if self.is_over and not self.is_done:
            said = "go on with" if self.is_submitted else "nobody has submitted it yet"
            lines += ["", f"{said}: emo job resume {typed(self.folder.path)}"]
        return "\n".join(lines)

    def _stages(self) -> str:
        seconds = self.logs.stage_seconds
        count = max(1, self.logs.clips)
        return ", ".join(f"{k} {1000 * v / count:.0f} ms" for k, v in seconds.items())

    def _failures(self) -> str:
        rows: list[dict[str, object]] = [
            {"failed": count, "for example": self.logs.examples[kind]}
            for kind, count in self.logs.reasons.most_common(SHOWN_REASONS)
        ]
        return format_table(rows)


def status(path: Location | str, jobs: Location | None = None) -> Status:
    """Find out how far a job is.

    Args:
        path: the job folder, or a store, which means its newest job.
        jobs: folder of the job folders, for a store in a bucket.

    Raises:
        EmoError: there is no job folder, or its store is gone.
    """
    folder = open_job(path, jobs)
    missing = {each.part: each.clips for each in missing_parts(folder)}
    ids, failed = set[str](), set[str]()
    store = None if folder.job.files else Store(folder.job.store)
    for part in folder.all_parts():
        ids.update(clip.id for clip in part.clips)
        failed |= failed_clips(store, part) if store else set()
    logs = log_facts(folder.logs)
    states = task_states(folder.path)
    journals = folder.journals()
    return Status(
        folder,
        clips=len(ids),
        missing=missing,
        running=_running(folder, states) & missing.keys(),
        queued=Counter((states or {}).values()),
        failed=len(failed) if store else sum(logs.reasons.values()),
        deaths=sum(journal.seen() for journal in journals.values()),
        logs=logs,
        workers=live_workers(folder.path),
        is_submitted=is_submitted(folder.path),
    )


def watch(
    path: Location | str,
    show: Callable[[Status], None],
    *,
    jobs: Location | None = None,
    seconds: float = WATCH_SECONDS,
) -> Status:
    """Show the status of a job repeatedly until it is over.

    Args:
        path: the job folder, or a store, which means its newest job.
        show: called with each status.
        jobs: folder of the job folders, for a store in a bucket.
        seconds: time between two looks.
    """
    while True:
        found = status(path, jobs)
        show(found)
        if found.is_over:
            return found
        time.sleep(seconds)


def _running(folder: JobFolder, states: Mapping[range, str] | None) -> frozenset[int]:
    """Return the numbers of the parts in progress, from the journals and, if it answers, Slurm."""
    holders = {number: journal.in_hand() for number, journal in folder.journals().items()}
    working = {
        number for number, by in holders.items() if any(is_at_work(folder.logs, b) for b in by)
    }
    tasks = [parts for parts, state in (states or {}).items() if state == "RUNNING"]
    by_slurm = {part for parts in tasks for part in parts if len(parts) == 1 or part in holders}
    return frozenset(working | by_slurm)


def _rate(rate: float | None, left: int, is_running: bool) -> str:
    if rate is None:
        return "not known yet"
    text = f"{rate:.1f} clips/s"
    if left and is_running:
        text += f", {duration(left / rate)} left"
    return text


def duration(seconds: float) -> str:
    """Write a duration in its two largest units.

    >>> [duration(seconds) for seconds in (20, 95, 7300, 200_000)]
    ['20 s', '2 min', '2 h 2 min', '2 d 7 h']
    """
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 60 * 24:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
