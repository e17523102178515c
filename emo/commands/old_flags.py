"""Flags of `emo extract` that are commands of `emo job` today; they work until version 1.0."""

import sys
from typing import Annotated, Any

import typer
from typer import Option

from emo.commands.executor_options import executor_flags, given_options
from emo.commands.job import resume_job, run_job, show_status

OldResume = Annotated[str | None, Option("--resume", metavar="JOB", hidden=True)]
OldStatus = Annotated[str | None, Option("--status", metavar="JOB", hidden=True)]
OldWatch = Annotated[bool, Option("--watch", hidden=True)]
OldPlan = Annotated[str | None, Option("--plan", metavar="JOB", hidden=True)]
OldPart = Annotated[str | None, Option("--part", metavar="PARTS", hidden=True)]
_FLAGS = {
    "status": {"watch", "jobs"},
    "plan": {"part", "workers", "jobs"},
    "resume": {"executor", "workers", "dry_run", "jobs"},
}
"""Old flag -> options of `emo extract` that may stand beside it."""


def run_old_flag(context: typer.Context) -> None:
    """Do what an old flag says and exit; return when there is none.

    Raises:
        BadParameter: it stands beside options that it does not have.
    """
    given = {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    mode = _only_mode(given)
    if mode is None:
        return
    values = context.params
    job, jobs, workers = values[mode], values["jobs"], values["workers"]
    name = {"plan": "run", "status": "watch" if values["watch"] else "status"}.get(mode, mode)
    print(f"emo: note: --{mode} is `emo job {name} {job}` now; the option goes with version 1.0",
          file=sys.stderr)  # fmt: skip
    if mode == "status":
        show_status(job, jobs, is_repeated=values["watch"])
    elif mode == "plan":
        run_job(job, jobs, part=values["part"], workers=workers)
    else:
        options: dict[str, Any] = {flag: values[flag] for flag in executor_flags()}
        resume_job(
            job, jobs, executor=values["executor"], workers=workers,
            options=given_options(options), words=[], is_dry_run=values["dry_run"],
        )  # fmt: skip
    raise typer.Exit


def _only_mode(given: set[str]) -> str | None:
    """Return the old flag among the options that were given, after checking the others."""
    modes = sorted(given & _FLAGS.keys())
    if len(modes) > 1:
        raise typer.BadParameter("give one of --resume, --status and --plan")
    for name, words in (("part", "--plan JOB"), ("watch", "--status JOB")):
        if name in given and words.split()[0][2:] not in given:
            raise typer.BadParameter(f"--{name} needs {words}")
    if not modes:
        return None
    mode = modes[0]
    allowed = _FLAGS[mode] | (executor_flags().keys() if mode == "resume" else set()) | {mode}
    if others := sorted(given - allowed):
        names = ", ".join("--" + name.replace("_", "-") for name in others)
        raise typer.BadParameter(f"--{mode} goes by the job's own options, not by {names}")
    return mode
