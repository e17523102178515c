"""Hands parts to Slurm as an array of tasks, by one readable script kept in the job folder."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from emo.extract.executor import Executor, JobReport, Progress
from emo.extract.job.folder import JobFolder
from emo.extract.job.resources import Resources, flag
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

SCRIPT, RETRY_SCRIPT = "slurm.sh", "slurm-retry.sh"
_DIRECT = ("partition", "account", "qos", "time", "constraint")

_TASK = """\
#!/bin/bash
# {parts} parts of {path}, {each} a task.
# By hand: sbatch --array=0-{last_task} {script}
# An argument is added to the array's index: sbatch --array=0-9 {script} 1000
{directives}
set -eu
task=$(( ${{1:-0}} + SLURM_ARRAY_TASK_ID ))
first=$(( task * {each} ))
last=$(( first + {each} - 1 ))
if (( last > {last_part} )); then last={last_part}; fi
{setup}exec {python} -m emo extract --plan {path} --part "$first-$last"{workers}
"""

_RETRY = """\
#!/bin/bash
# Runs when all tasks have ended; submits what is still missing, {retries} times more at most.
{directives}
set -eu
{setup}exec {python} -m emo extract --resume {path} --retries {rest}
"""


class Slurm(Executor):
    """An sbatch array; returns the job's id and does not wait."""

    uses = frozenset(
        {
            "retries",
            "cpus_per_task",
            "gpus_per_task",
            "parts_per_task",
            "max_parallel",
            "max_array_size",
            "partition",
            "account",
            "qos",
            "time",
            "constraint",
            "sbatch_arg",
            "env_setup",
        }
    )
    is_scheduler = True

    def __init__(self, workers: int | None, resources: Resources) -> None:
        """``workers``: processes of each task; None: one a GPU, or one."""
        self.workers, self.resources = workers, resources

    def run(
        self,
        folder: JobFolder,
        parts: Sequence[int],
        progress: Progress,
        *,
        is_dry_run: bool = False,
    ) -> JobReport:
        """Write the scripts and submit the tasks that hold ``parts``.

        Parts of a task that is in Slurm's queue already, waiting or running, ask for no other.
        """
        script = _write(folder.path / SCRIPT, self._task_script(folder))
        retries = self.resources.retries or 0
        if retries:
            retry_script = _write(folder.path / RETRY_SCRIPT, self._retry_script(folder, retries))
        if is_dry_run:
            return JobReport()
        queued = task_states(folder.path) or {}
        held = {part for task in queued for part in task}
        tasks = sorted({part // self._each for part in parts if part not in held})
        limit = self.resources.max_array_size or max_array_size()
        wanted = set(parts)
        report = JobReport(queued=sum(not wanted.isdisjoint(task) for task in queued))
        for offset, indexes in arrays(tasks, limit):
            taken = submit(script, indexes, offset, self.resources.max_parallel)
            remember(folder.path, ArrayJob(taken, offset, self._each))
            report.submitted.append(taken)
        if retries and report.submitted:
            submit_after(retry_script, report.submitted)
        return report

    @property
    def _each(self) -> int:
        return self.resources.parts_per_task or 1

    def _task_script(self, folder: JobFolder) -> str:
        tasks = -(-len(folder.parts) // self._each)
        lines = [
            f"--output={_quoted(folder.logs)}/slurm-%A_%a.out",
            "--open-mode=append",
            "--signal=B:USR1@90",
            "--requeue",
        ]
        return _TASK.format(
            parts=len(folder.parts),
            path=shlex.quote(str(folder.path)),
            script=shlex.quote(str(folder.path / SCRIPT)),
            each=self._each,
            last_part=len(folder.parts) - 1,
            last_task=min(tasks, self.resources.max_array_size or DEFAULT_ARRAY_SIZE) - 1,
            directives=self._directives(folder, lines, for_tasks=True),
            setup=self._setup,
            python=self._python,
            workers=f" --workers {self.workers}" if self.workers else "",
        )

    def _retry_script(self, folder: JobFolder, retries: int) -> str:
        lines = [f"--output={_quoted(folder.logs)}/slurm-retry-%j.out"]
        return _RETRY.format(
            retries=retries,
            directives=self._directives(folder, lines, for_tasks=False),
            setup=self._setup,
            python=self._python,
            path=shlex.quote(str(folder.path)),
            rest=retries - 1,
        )

    def _directives(self, folder: JobFolder, lines: list[str], *, for_tasks: bool) -> str:
        asked = self.resources
        lines = [f"--job-name=emo-{folder.path.name}", f"--chdir={_quoted(Path.cwd())}", *lines]
        lines += [f"{flag(k)}={v}" for k in _DIRECT if (v := getattr(asked, k)) is not None]
        if for_tasks:
            cpus, gpus = asked.cpus_per_task, asked.gpus_per_task
            lines += [f"--cpus-per-task={cpus}"] if cpus else []
            lines += [f"--gpus-per-task={gpus:g}", "--ntasks=1"] if gpus else []
            lines += asked.sbatch_arg
        return "\n".join(f"#SBATCH {line}" for line in lines)

    @property
    def _setup(self) -> str:
        lines = self.resources.env_setup
        free = "set +u  # what follows may read variables that are not set\n" if lines else ""
        return free + "".join(line + "\n" for line in lines)

    @property
    def _python(self) -> str:
        """With ``--env-setup`` the python which that provides, else this one."""
        return "python" if self.resources.env_setup else shlex.quote(sys.executable)


def arrays(tasks: Sequence[int], limit: int) -> Iterator[tuple[int, list[int]]]:
    """Tasks as arrays whose indexes stay below ``limit``: (offset, indexes) of each.

    >>> list(arrays([0, 1, 4, 5, 11], 4))
    [(0, [0, 1]), (4, [0, 1]), (8, [3])]
    """
    by_offset: dict[int, list[int]] = {}
    for task in tasks:
        by_offset.setdefault(task // limit * limit, []).append(task % limit)
    yield from by_offset.items()


def _quoted(path: Path) -> str:
    """As sbatch reads a path in a script's ``#SBATCH`` lines."""
    return f'"{path}"' if " " in str(path) else str(path)


def _write(path: Path, text: str) -> Path:
    try:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    return path
