"""Find clips that an earlier job of the store has in Slurm's queue, to not submit them twice."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from emo.extract.job.folder import JobError, JobFolder, open_job
from emo.extract.job.paths import typed
from emo.extract.job.plan import PartPlan
from emo.extract.job.slurm_queue import SUBMISSIONS, SchedulerError, queue, submissions, task_states
from emo.store.backend.location import Location


def refuse_queued(home: Location, parts: Iterable[PartPlan]) -> None:
    """Refuse parts with clips that an earlier job of the store still has in Slurm's queue.

    If Slurm does not answer, nothing is refused; submitting will then report the problem.

    Args:
        home: folder of the store's job folders; it need not exist.
        parts: parts of the new job, which may be gone through for each earlier job.

    Raises:
        SchedulerError: clips are queued already; the message names the job and what to do instead.
    """
    jobs = list(_submitted(home)) if isinstance(home, Path) else []
    tasks = queue() if jobs else None
    if not tasks:
        return
    for folder in jobs:
        states = task_states(folder.path, tasks)
        if states and (clips := _count_shared(parts, _in_queue(folder, states))):
            raise SchedulerError(_message(folder, Counter(states.values()), clips))


def _submitted(home: Path) -> Iterator[JobFolder]:
    """Yield the jobs that were submitted to Slurm, the newest first."""
    for path in sorted(home.glob(f"[0-9]*/{SUBMISSIONS}"), reverse=True):
        with suppress(JobError):  # a job folder of another version of emo is ignored
            yield open_job(path.parent)


def _in_queue(folder: JobFolder, tasks: Iterable[range]) -> dict[tuple[str, str], int]:
    """Return the clips in the parts of queued tasks: (recipe name, clip id) -> attempt."""
    numbers = {part for task in tasks for part in task}
    parts = (folder.part(number) for number in sorted(numbers & set(folder.parts)))
    return {
        (name, clip_id): wanted.attempt
        for part in parts
        for name, wanted in part.todo.items()
        for clip_id in wanted.ids
    }


def _count_shared(parts: Iterable[PartPlan], queued: dict[tuple[str, str], int]) -> int:
    """Count the clips of ``parts`` that are queued for the attempt that ``parts`` plan."""
    return sum(
        any(
            clip.id in wanted.ids and queued.get((name, clip.id), -1) >= wanted.attempt
            for name, wanted in part.todo.items()
        )
        for part in parts
        for clip in part.clips
    )


def _message(folder: JobFolder, states: Counter[str], clips: int) -> str:
    assert isinstance(folder.path, Path)  # Slurm gets no jobs in buckets
    path = typed(folder.path)
    ids = ", ".join(each.id for each in submissions(folder.path))
    tasks = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    verb = "is" if clips == 1 else "are"
    return (
        f"{clips:,} of these clips {verb} in Slurm's queue already: job folder {path}, Slurm job "
        f"{ids}, tasks {tasks}. To see its state: emo job status {path}. To do what it lacks "
        f"when it has ended: emo job resume {path}. To submit the clips twice: emo extract "
        "--anyway"
    )
