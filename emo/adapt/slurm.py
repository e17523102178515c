"""Submit an adaptation to Slurm: one job, in which srun starts a process for each GPU."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from emo.adapt.folder import SLURM_LOGS, SLURM_SCRIPT, prepare_folder
from emo.errors import OptionError, plural
from emo.extract.executor import EXIT_STOPPED
from emo.extract.executors.slurm import (
    SlurmOptions,
    directives,
    python_word,
    sbatch_quoted,
    setup_lines,
    write_script,
)
from emo.extract.job.paths import script_path, short
from emo.extract.job.slurm_queue import submit_one

SIGNAL_SECONDS = 180
"""Seconds before the time limit at which Slurm signals the processes, to write a checkpoint."""

_SCRIPT = """\
#!/bin/bash
# emo adapt with {tasks}; torch's RANK, WORLD_SIZE and MASTER_ADDR follow from Slurm's variables.
# By hand: sbatch {script}
{directives}
set -eu
{setup}# A process that fails ends those that wait for it. Code {stopped}: a signal stopped all of
# them after the same step, with a checkpoint, and the job is queued again.
each='trap "" USR1 USR2 TERM
"$@" || {{ code=$?
  (( code == {stopped} )) || scancel --signal=KILL "$SLURM_JOB_ID.$SLURM_STEP_ID"
  exit $code; }}'
code=0
srun bash -c "$each" emo {python} -m emo {words} || code=$?
if (( code == {stopped} )); then exec scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
"""


def submit_adaptation(
    out: Path,
    words: Sequence[str],
    options: SlurmOptions,
    tasks: int,
    *,
    resume: bool = False,
    overwrite: bool = False,
    is_dry_run: bool = False,
) -> tuple[str, ...]:
    """Write the script of an adaptation and submit it; return lines that say so.

    Args:
        out: folder of the adaptation; the script and Slurm's log lie in it.
        words: words of `emo adapt` without options of Slurm, ``--resume`` and ``--overwrite``.
        options: options of the job.
        tasks: number of processes.
        resume: go on with the newest complete checkpoint in ``out``.
        overwrite: remove an adaptation in ``out`` first.
        is_dry_run: write the script and submit nothing.

    Raises:
        OptionError: fewer than one process.
        FitError: the folder holds an adaptation or other files, or cannot be written.
        SchedulerError: Slurm is not available, or refuses.
    """
    if tasks < 1:
        raise OptionError(f"--ntasks: expected 1 or more, got {tasks}")
    text = job_script(out, words, options, tasks)
    if not is_dry_run:
        prepare_folder(out, resume=resume, overwrite=overwrite)
    (out / SLURM_LOGS).mkdir(parents=True, exist_ok=True)
    script = write_script(out / SLURM_SCRIPT, text)
    if is_dry_run:
        return (f"wrote {short(script)}; submit it with sbatch",)
    return (f"submitted {submit_one(script)}; its log is in {short(out / SLURM_LOGS)}",)


def job_script(out: Path, words: Sequence[str], options: SlurmOptions, tasks: int) -> str:
    """Return the script; each start of it goes on with the newest complete checkpoint."""
    folder = out.absolute()
    lines = [
        f"--output={sbatch_quoted(folder / SLURM_LOGS, is_pattern=True)}/slurm-%j.out",
        "--open-mode=append",
        f"--signal=USR1@{SIGNAL_SECONDS}",
        "--requeue",
    ]
    return _SCRIPT.format(
        tasks=plural(tasks, "task"),
        script=shlex.quote(script_path(folder / SLURM_SCRIPT)),
        directives=directives(options, folder.name, lines, tasks=tasks),
        setup=setup_lines(options),
        stopped=EXIT_STOPPED,
        python=python_word(options),
        words=" ".join(_quoted_word(word) for word in ("adapt", *words, "--resume")),
    )


def _quoted_word(word: str) -> str:
    """Return a word of a command as the shell reads it.

    Raises:
        OptionError: it holds control characters, with which a script would have other lines.
    """
    if not word.isprintable():
        raise OptionError(f"{word!r} holds control characters and cannot stand in a script")
    return shlex.quote(word)


def words_without(words: Sequence[str], options: Sequence[str], flags: Sequence[str]) -> list[str]:
    """Return the words of a command line without some options.

    >>> words_without(["m.csv", "--time", "1:00", "--qos=q", "--resume"], ["time", "qos"],
    ...               ["resume"])
    ['m.csv']

    Args:
        words: words of the command line.
        options: names of options with a value, which are left out.
        flags: names of options without a value, which are left out.
    """
    kept = []
    each = iter(words)
    for word in each:
        name, equals, _ = word.partition("=")
        name = name.removeprefix("--").replace("-", "_") if word.startswith("--") else ""
        if name in options:
            if not equals:
                next(each, None)
        elif name not in flags:
            kept.append(word)
    return kept
