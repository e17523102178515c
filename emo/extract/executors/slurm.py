"""Submits parts to Slurm as an array of tasks, by one readable script in the job folder."""

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from emo.errors import OptionError, plural
from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.job.executor_options import check_at_least, check_single_words, flag
from emo.extract.job.folder import JobFolder
from emo.extract.job.ownership import names_code
from emo.extract.job.paths import script_path
from emo.extract.job.slurm_queue import (
    DEFAULT_ARRAY_SIZE,
    ArrayJob,
    max_array_size,
    remember,
    submit,
    submit_after,
    task_states,
)
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location

SCRIPT, RETRY_SCRIPT = "slurm.sh", "slurm-retry.sh"
_DIRECT = ("partition", "account", "qos", "time", "constraint")
"""Options that go into the scripts as they are, as ``#SBATCH`` lines of the same name."""
_PLAIN = re.compile(r"[\w./@:+,=%-]+")
"""A path that needs no quotes in ``#SBATCH`` lines."""

_TASK = """\
#!/bin/bash
# {parts} of {path}, {each} a task.
# By hand: sbatch --array=0-{last_task} {script}
# An argument is added to the array's index: sbatch --array=0-9 {script} 1000
{directives}
set -eu
task=$(( ${{1:-0}} + SLURM_ARRAY_TASK_ID ))
first=$(( task * {each} ))
last=$(( first + {each} - 1 ))
if (( last > {last_part} )); then last={last_part}; fi
{setup}exec {python} -m emo job run {path} --part "$first-$last"{workers}{consent}
"""

_RETRY = """\
#!/bin/bash
# Runs when all tasks have ended; submits what is still missing, {retries} times more at most.
{directives}
set -eu
{setup}exec {python} -m emo job resume {path} --retries {rest}{consent}
"""


@dataclass(frozen=True)
class SlurmOptions:
    """Options of :class:`Slurm`; most become ``#SBATCH`` lines of the script."""

    parts_per_task: int = field(
        default=1,
        metadata={"help": "Parts that one task does in turn with the models loaded once."},
    )
    max_parallel: int | None = field(
        default=None, metadata={"help": "Tasks that run at the same time, at most."}
    )
    max_array_size: int | None = field(
        default=None,
        metadata={"help": "Tasks in one array, at most; default: the site's MaxArraySize."},
    )
    cpus_per_task: int | None = field(default=None, metadata={"help": "CPU cores of a task."})
    gpus_per_task: float | None = field(default=None, metadata={"help": "GPUs of a task."})
    partition: str | None = field(
        default=None, metadata={"help": "Partition to submit to.", "metavar": "NAME"}
    )
    account: str | None = field(
        default=None, metadata={"help": "Account that is charged.", "metavar": "NAME"}
    )
    qos: str | None = field(
        default=None, metadata={"help": "Quality of service of the tasks.", "metavar": "NAME"}
    )
    time: str | None = field(
        default=None,
        metadata={"help": "Time limit of a task, such as 4:00:00.", "metavar": "LIMIT"},
    )
    constraint: str | None = field(
        default=None,
        metadata={"help": "Features that nodes must have, such as a100.", "metavar": "FEATURES"},
    )
    sbatch_arg: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Write --sbatch-arg=--mem=32G to add the line #SBATCH --mem=32G; repeat.",
            "metavar": "OPTION",
            "is_code": True,
        },
    )
    env_setup: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "A shell line to run before python, such as 'module load cuda'; repeat.",
            "metavar": "LINE",
            "is_code": True,
        },
    )
    retries: int = field(
        default=0, metadata={"help": "Times that tasks which left clips undone are resubmitted."}
    )

    def __post_init__(self) -> None:
        check_at_least(self, 0, "retries", "gpus_per_task")
        check_at_least(self, 1, "cpus_per_task", "parts_per_task", "max_parallel", "max_array_size")
        check_single_words(self, *_DIRECT)
        for line in self.sbatch_arg:
            if not line.startswith("-") or "\n" in line:
                raise OptionError(f"--sbatch-arg {line!r}: expected an option such as --mem=32G")


class Slurm(Executor):
    """Submits an array of tasks to Slurm and does not wait for them.

    It writes one readable script into the job folder, and the report holds the ids of the arrays.
    """

    Options: ClassVar[type] = SlurmOptions
    is_scheduler = True
    needs_disk = True

    def __init__(self, workers: int | None, options: SlurmOptions) -> None:
        """``workers``: processes of each task; None: one for each GPU, or one."""
        self.workers, self.options = workers, options

    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Write the scripts and submit the tasks that hold ``parts``.

        Parts of a task that already waits or runs in Slurm's queue are not submitted again.
        """
        assert isinstance(folder.path, Path)  # because of needs_disk
        script = write_script(folder.path / SCRIPT, self._task_script(folder))
        retries = self.options.retries
        if retries:
            retry_script = write_script(
                folder.path / RETRY_SCRIPT, self._retry_script(folder, retries)
            )
        if is_dry_run:
            return JobReport()
        queued = task_states(folder.path) or {}
        held = {part for task in queued for part in task}
        tasks = sorted({part // self._each for part in parts if part not in held})
        limit = self.options.max_array_size or max_array_size()
        wanted = set(parts)
        report = JobReport(queued=sum(not wanted.isdisjoint(task) for task in queued))
        for offset, indexes in arrays(tasks, limit):
            taken = submit(script, indexes, offset, self.options.max_parallel)
            remember(folder.path, ArrayJob(taken, offset, self._each))
            report.submitted.append(taken)
        if retries and report.submitted:
            submit_after(retry_script, report.submitted)
        return report

    @property
    def _each(self) -> int:
        return self.options.parts_per_task

    def _task_script(self, folder: JobFolder) -> str:
        tasks = -(-len(folder.parts) // self._each)
        lines = [
            f"--output={sbatch_quoted(folder.logs, is_pattern=True)}/slurm-%A_%a.out",
            "--open-mode=append",
            "--signal=B:USR1@90",
            "--requeue",
        ]
        return _TASK.format(
            parts=plural(len(folder.parts), "part"),
            path=shlex.quote(script_path(folder.path)),
            script=shlex.quote(script_path(folder.path / SCRIPT)),
            each=self._each,
            last_part=len(folder.parts) - 1,
            last_task=min(tasks, self.options.max_array_size or DEFAULT_ARRAY_SIZE) - 1,
            directives=directives(self.options, folder.path.name, lines),
            setup=setup_lines(self.options),
            python=python_word(self.options),
            workers=f" --workers {self.workers}" if self.workers else "",
            consent=_consent(folder),
        )

    def _retry_script(self, folder: JobFolder, retries: int) -> str:
        lines = [f"--output={sbatch_quoted(folder.logs, is_pattern=True)}/slurm-retry-%j.out"]
        return _RETRY.format(
            retries=retries,
            directives=directives(self.options, folder.path.name, lines, tasks=0),
            setup=setup_lines(self.options),
            python=python_word(self.options),
            path=shlex.quote(script_path(folder.path)),
            rest=retries - 1,
            consent=_consent(folder),
        )


def arrays(tasks: Sequence[int], limit: int) -> Iterator[tuple[int, list[int]]]:
    """Split tasks into arrays whose indexes stay below ``limit``; yield (offset, indexes) of each.

    >>> list(arrays([0, 1, 4, 5, 11], 4))
    [(0, [0, 1]), (4, [0, 1]), (8, [3])]
    """
    by_offset: dict[int, list[int]] = {}
    for task in tasks:
        by_offset.setdefault(task // limit * limit, []).append(task % limit)
    yield from by_offset.items()


def _consent(folder: JobFolder) -> str:
    """Return the option by which tasks run the code of a job; the user agreed in this call."""
    return " --allow-code" if names_code(folder, ("sbatch_arg", "env_setup")) else ""


def directives(
    options: SlurmOptions, name: str, lines: Sequence[str] = (), *, tasks: int = 1
) -> str:
    """Return the ``#SBATCH`` lines of a script.

    Args:
        options: partition, resources of a task, and further lines.
        name: name of the job, after ``emo-``.
        lines: options of sbatch that the script needs besides.
        tasks: number of tasks of the job; 0: the script needs no resources of a task.
    """
    found = [f"--job-name=emo-{name}", f"--chdir={sbatch_quoted(Path.cwd())}", *lines]
    found += [f"{flag(k)}={v}" for k in _DIRECT if (v := getattr(options, k)) is not None]
    if tasks:
        cpus, gpus = options.cpus_per_task, options.gpus_per_task
        found += [f"--cpus-per-task={cpus}"] if cpus else []
        found += [f"--gpus-per-task={gpus:g}"] if gpus else []
        found += [f"--ntasks={tasks}"] if gpus or tasks > 1 else []
        found += options.sbatch_arg
    return "\n".join(f"#SBATCH {line}" for line in found)


def setup_lines(options: SlurmOptions) -> str:
    """Return the shell lines that a script runs before Python."""
    lines = options.env_setup
    free = "set +u  # what follows may read variables that are not set\n" if lines else ""
    return free + "".join(line + "\n" for line in lines)


def python_word(options: SlurmOptions) -> str:
    """Return Python of the tasks: this one, or that of the lines of ``--env-setup``."""
    return "python" if options.env_setup else shlex.quote(script_path(Path(sys.executable)))


def sbatch_quoted(path: Location, *, is_pattern: bool = False) -> str:
    """Quote a path as sbatch reads it in a script's ``#SBATCH`` lines.

    sbatch cuts these lines into words like a shell, but without variables; in names of log files,
    ``%`` begins a pattern such as ``%j``.

    Args:
        path: the path.
        is_pattern: whether sbatch looks for patterns in the option's value.

    Raises:
        OptionError: the path holds characters that a line of a script cannot hold.
    """
    text = script_path(path).replace("%", "%%" if is_pattern else "%")
    return text if _PLAIN.fullmatch(text) else '"' + re.sub(r'(["\\\\])', r"\\\1", text) + '"'


def write_script(path: Path, text: str) -> Path:
    """Write a script that can be executed, and return its path.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    return path
