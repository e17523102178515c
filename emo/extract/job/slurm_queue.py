"""What is asked of Slurm, and of its answers what is needed; nothing where there is no Slurm."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from emo.errors import EmoError

SUBMISSIONS = "submissions.jsonl"
"""In the job folder: a line for every array that was submitted."""
DEFAULT_ARRAY_SIZE = 1001  # Slurm's own MaxArraySize
_PATIENCE_SECONDS = 30


class SchedulerError(EmoError):
    """Slurm is not there, or refuses."""


@dataclass(frozen=True)
class ArrayJob:
    """One array of tasks that Slurm took."""

    id: str
    offset: int
    """Task number = offset + index in the array."""
    parts_per_task: int = 1
    """As it was then; `emo job resume` may ask for another."""

    def parts(self, index: int) -> range:
        """The parts that a task of the array holds; the last one's may be beyond the job's end."""
        first = (self.offset + index) * self.parts_per_task
        return range(first, first + self.parts_per_task)


def submit(script: Path, indexes: Sequence[int], offset: int, max_parallel: int | None) -> str:
    """Submit an array of a script; returns Slurm's id.

    Raises:
        SchedulerError: in Slurm's own words.
    """
    limit = f"%{max_parallel}" if max_parallel else ""
    array = f"--array={ranges(indexes)}{limit}"
    return _ask("sbatch", "--parsable", array, str(script), str(offset)).split(";")[0].strip()


def submit_after(script: Path, ids: Sequence[str]) -> str:
    """Submit a script that runs when all tasks of these arrays have ended, however they did."""
    dependency = f"--dependency=afterany:{':'.join(ids)}"
    return _ask("sbatch", "--parsable", dependency, str(script)).split(";")[0].strip()


def max_array_size() -> int:
    """The site's MaxArraySize.

    Raises:
        SchedulerError: the site allows no arrays.
    """
    try:
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.M)
    except SchedulerError:
        return DEFAULT_ARRAY_SIZE
    size = int(found[1]) if found else DEFAULT_ARRAY_SIZE
    if size < 1:
        raise SchedulerError(
            "this Slurm takes no job arrays (MaxArraySize = 0): submit jobs of your own that run "
            "emo job run JOB --part K"
        )
    return size


def remember(folder: Path, submission: ArrayJob) -> None:
    """Add a line to the job folder.

    Raises:
        SchedulerError: it cannot be written; names the array that nobody else knows of.
    """
    try:
        with (folder / SUBMISSIONS).open("a") as file:
            file.write(json.dumps(asdict(submission)) + "\n")
    except OSError as error:
        raise SchedulerError(
            f"Slurm took array {submission.id}, but {folder / SUBMISSIONS} cannot be written "
            f"({error.strerror}), so that `emo job` would not know of the array: scancel "
            f"{submission.id}, make room, then emo job resume {folder}"
        ) from error


def submissions(folder: Path) -> list[ArrayJob]:
    """All that were remembered, oldest first."""
    path = folder / SUBMISSIONS
    lines = path.read_text().splitlines() if path.exists() else []
    return [ArrayJob(**json.loads(line)) for line in lines]


@dataclass(frozen=True)
class Queued:
    """One task in Slurm's queue."""

    id: str
    """Of its array."""
    index: int
    state: str
    """``RUNNING``, ``PENDING`` …"""


def queue() -> list[Queued] | None:
    """The user's array tasks that Slurm still has in its queue; None: it does not answer here."""
    try:
        # a job that ended long ago is an error to `squeue -j`, so all of the user's are asked for
        answer = _ask("squeue", "--me", "-h", "-r", "-o", "%F %K %T")
    except SchedulerError:
        return None
    lines = (line.split() for line in answer.splitlines())
    return [
        Queued(fields[0], int(fields[1]), fields[2])
        for fields in lines
        if len(fields) == 3 and fields[1].isdigit()
    ]


def task_states(folder: Path, tasks: Sequence[Queued] | None = None) -> dict[range, str] | None:
    """Parts of each task of the job that Slurm still has in its queue -> the task's state.

    Args:
        folder: of the job.
        tasks: the queue, if it was asked for already.

    Returns:
        None: nothing was submitted, or Slurm does not answer here.
    """
    known = {each.id: each for each in submissions(folder)}
    if not known or (tasks is None and (tasks := queue()) is None):
        return None
    return {known[task.id].parts(task.index): task.state for task in tasks if task.id in known}


def ranges(numbers: Iterable[int]) -> str:
    """Ascending numbers as Slurm writes them.

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def _ask(program: str, *words: str) -> str:
    if shutil.which(program) is None:
        raise SchedulerError(f"{program} is not on this machine; run this where Slurm is installed")
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(f"{program} did not answer in {_PATIENCE_SECONDS} s") from error
    if done.returncode:
        raise SchedulerError(f"{program} refused: {(done.stderr or done.stdout).strip()}")
    return done.stdout
