"""Call Slurm's commands (sbatch, squeue, scontrol) and remember which arrays a job submitted."""

import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from emo.errors import EmoError
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.files import UnfitFileError, read_regular
from emo.machine.untrusted.kinds import Fields, Where
from emo.store.backend.location import Location

SUBMISSIONS = "submissions.jsonl"
"""File in the job folder with a line for every array that was submitted."""
DEFAULT_ARRAY_SIZE = 1001  # Slurm's own MaxArraySize
_PATIENCE_SECONDS = 30
_MOST_BYTES = 2**24
"""Largest list of submitted arrays that is read, 16 MiB."""
_KEYS = ("id", "offset", "parts_per_task")
_ARRAY = Fields(
    {"id": str, "offset": Where(int, lambda n: 0 <= n < 2**31, "a number of a task")},
    {"parts_per_task": Where(int, lambda n: 1 <= n <= 10**6, "1 to 1,000,000 parts")},
)


class SchedulerError(EmoError):
    """Slurm is not available, or refuses a request."""


@dataclass(frozen=True)
class ArrayJob:
    """One array of tasks that Slurm accepted."""

    id: str
    """Slurm's id of the array."""
    offset: int
    """Number that is added to a task's index in the array to get its number in the job."""
    parts_per_task: int = 1
    """Number of parts of each task at the time of submission."""

    def parts(self, index: int) -> range:
        """Return the numbers of a task's parts; the last task's may exceed the parts of the job."""
        first = (self.offset + index) * self.parts_per_task
        return range(first, first + self.parts_per_task)


def submit(script: Path, indexes: Sequence[int], offset: int, max_parallel: int | None) -> str:
    """Submit a script as an array of tasks.

    Args:
        script: the script; it gets ``offset`` as argument.
        indexes: rising indexes of the array.
        offset: number that the script adds to the index to get a task's number in the job.
        max_parallel: most tasks that run at the same time; None: no limit.

    Returns:
        Slurm's id of the array.

    Raises:
        SchedulerError: Slurm refuses; the message contains its answer.
    """
    limit = f"%{max_parallel}" if max_parallel else ""
    array = f"--array={ranges(indexes)}{limit}"
    return _ask("sbatch", "--parsable", array, str(script), str(offset)).split(";")[0].strip()


def submit_one(script: Path) -> str:
    """Submit a script as one job; return Slurm's id."""
    return _ask("sbatch", "--parsable", str(script)).split(";")[0].strip()


def submit_after(script: Path, ids: Sequence[str]) -> str:
    """Submit a script that runs after all tasks of these arrays ended; return Slurm's id."""
    dependency = f"--dependency=afterany:{':'.join(ids)}"
    return _ask("sbatch", "--parsable", dependency, str(script)).split(";")[0].strip()


def max_array_size() -> int:
    """Return the cluster's MaxArraySize, or Slurm's default if it cannot be read.

    Raises:
        SchedulerError: the cluster allows no arrays.
    """
    try:
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask("scontrol", "show", "config"), re.M)
    except SchedulerError:
        return DEFAULT_ARRAY_SIZE
    size = int(found[1]) if found else DEFAULT_ARRAY_SIZE
    if size < 1:
        raise SchedulerError(
            "this Slurm allows no job arrays (MaxArraySize = 0). Submit your own jobs that run "
            "emo job run JOB --part K"
        )
    return size


def remember(folder: Path, submission: ArrayJob) -> None:
    """Add a submitted array to the list in the job folder.

    Raises:
        SchedulerError: the list cannot be written; the message names the array.
    """
    try:
        with (folder / SUBMISSIONS).open("a") as file:
            file.write(json.dumps(asdict(submission)) + "\n")
    except OSError as error:
        raise SchedulerError(
            f"Slurm accepted array {submission.id}, but {folder / SUBMISSIONS} cannot be written "
            f"({error.strerror}), so that `emo job` would not know of the array. Run: "
            f"scancel {submission.id}. Free some space, then: emo job resume {folder}"
        ) from error


def submissions(folder: Path) -> list[ArrayJob]:
    """Return the arrays that a job submitted, the oldest first, without damaged lines.

    Raises:
        SchedulerError: the list cannot be read.
    """
    path = folder / SUBMISSIONS
    try:
        data = read_regular(path, most_bytes=_MOST_BYTES, follow_links=True)
    except FileNotFoundError:
        return []
    except (OSError, UnfitFileError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SchedulerError(
            f"{path}: the list of submitted arrays cannot be read: {why}; see squeue --me, and "
            "plan the job again with `emo extract`, which keeps what is committed"
        ) from error
    found = []
    for line in data.split(b"\n"):
        with contextlib.suppress(DocumentError):  # cut off when the disk was full
            entry = parse_checked(line, _ARRAY)
            found.append(ArrayJob(**{name: entry[name] for name in _KEYS if name in entry}))
    return found


@dataclass(frozen=True)
class Queued:
    """One task of an array in Slurm's queue."""

    id: str
    """Slurm's id of the array."""
    index: int
    """Index of the task in the array."""
    state: str
    """Slurm's state of the task: ``RUNNING``, ``PENDING`` …"""


def queue() -> list[Queued] | None:
    """Return the user's array tasks in Slurm's queue; None: Slurm does not answer."""
    try:
        # all jobs of the user, because `squeue -j` fails for a job that ended long ago
        answer = _ask("squeue", "--me", "-h", "-r", "-o", "%F %K %T")
    except SchedulerError:
        return None
    lines = (line.split() for line in answer.splitlines())
    return [
        Queued(fields[0], int(fields[1]), fields[2])
        for fields in lines
        if len(fields) == 3 and fields[1].isdigit()
    ]


def task_states(folder: Location, tasks: Sequence[Queued] | None = None) -> dict[range, str] | None:
    """Return the state of each task of a job that is in Slurm's queue.

    Args:
        folder: the job folder.
        tasks: content of the queue; None: Slurm is asked.

    Returns:
        Parts of a task -> its state; None: nothing was submitted, or Slurm does not answer.
    """
    if not isinstance(folder, Path):  # Slurm gets no jobs in buckets
        return None
    known = {each.id: each for each in submissions(folder)}
    if not known or (tasks is None and (tasks := queue()) is None):
        return None
    return {known[task.id].parts(task.index): task.state for task in tasks if task.id in known}


def ranges(numbers: Iterable[int]) -> str:
    """Write ascending numbers in Slurm's notation.

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


def _one_line(answer: str) -> str:
    """Return what a program printed as one line."""
    return "; ".join(line.strip() for line in answer.splitlines() if line.strip())


def _ask(program: str, *words: str) -> str:
    if shutil.which(program) is None:
        raise SchedulerError(
            f"the command {program} is not on this machine; run this where Slurm is installed"
        )
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SchedulerError(f"{program} did not answer in {_PATIENCE_SECONDS} s") from error
    if done.returncode:
        raise SchedulerError(f"{program} refused: {_one_line(done.stderr or done.stdout)}")
    return done.stdout
