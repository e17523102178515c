"""Clips that an earlier job of the store has in Slurm's queue: no new job submits them again."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from emo.extract.job.folder import JobError, JobFolder, open_job
from emo.extract.job.paths import typed
from emo.extract.job.plan import PartPlan
from emo.extract.job.slurm_queue import SUBMISSIONS, SchedulerError, queue, submissions, task_states


def refuse_queued(home: Path, parts: Sequence[PartPlan]) -> None:
    """Refuse parts with clips that a job of the store waits for or works on.

    Where Slurm does not answer nothing is refused; submitting will say why.

    Args:
        home: the folder of the store's jobs; it need not exist.
        parts: what a new job would do.

    Raises:
        SchedulerError: names the job, its arrays, and what to do instead.
    """
    jobs = list(_submitted(home))
    tasks = queue() if jobs else None
    if not tasks:
        return
    for folder in jobs:
        states = task_states(folder.path, tasks)
        if states and (clips := _shared(parts, _in_queue(folder, states))):
            raise SchedulerError(_message(folder, Counter(states.values()), clips))


def _submitted(home: Path) -> Iterator[JobFolder]:
    """Jobs that were handed to Slurm, the newest first."""
    for path in sorted(home.glob(f"[0-9]*/{SUBMISSIONS}"), reverse=True):
        with suppress(JobError):  # what another version wrote is no obstacle
            yield open_job(path.parent)


def _in_queue(folder: JobFolder, tasks: Iterable[range]) -> dict[tuple[str, str], int]:
    """Recipe and clip -> attempt, of the parts that these tasks hold."""
    numbers = {part for task in tasks for part in task}
    parts = (folder.part(number) for number in sorted(numbers & set(folder.parts)))
    return {
        (name, clip_id): wanted.attempt
        for part in parts
        for name, wanted in part.todo.items()
        for clip_id in wanted.ids
    }


def _shared(parts: Iterable[PartPlan], queued: dict[tuple[str, str], int]) -> int:
    """Clips that are in both; a later attempt at one is other work."""
    return sum(
        any(
            clip.id in wanted.ids and queued.get((name, clip.id), -1) >= wanted.attempt
            for name, wanted in part.todo.items()
        )
        for part in parts
        for clip in part.clips
    )


def _message(folder: JobFolder, states: Counter[str], clips: int) -> str:
    path = typed(folder.path)
    ids = ", ".join(each.id for each in submissions(folder.path))
    tasks = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return (
        f"{clips:,} of these clips are in Slurm's queue already: job {path}, Slurm's {ids}, tasks "
        f"{tasks}. Look: emo job status {path}. When it has ended: emo job resume "
        f"{path} does what it lacks. To submit them twice all the same: --anyway"
    )
