"""Flags of `emo extract` that are commands of `emo job` today: all flags that only forward.

They work until :data:`REMOVED_IN`, which removes this file. Old names in files (options and weights
of runs) lie in the classes that read them, and stay: docs/exit-codes.md lists both.
"""

import shlex
import sys
from collections.abc import Set
from typing import Annotated, Any

import typer
from typer import Option

from emo.commands.flags.executor_options import executor_flags, given_options
from emo.commands.job import resume_job, run_job, show_status
from emo.machine.table import shown

REMOVED_IN = "0.4"
"""Version of emo without these flags."""
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
_COMMANDS = {"status": "status", "plan": "run", "resume": "resume"}
"""Old flag -> command of `emo job` that does the same."""


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
    mode = _only_mode(context, given)
    if mode is None:
        return
    values = context.params
    job, jobs, workers = values[mode], values["jobs"], values["workers"]
    name = "watch" if values["watch"] else _COMMANDS[mode]
    rest = _rest(context, given - {mode, "watch"})
    print(
        shown(
            f"emo: note: --{mode} is the command `emo job {name} {shlex.quote(job)}{rest}` now; "
            f"the flag works until version {REMOVED_IN}, which removes it"
        ),
        file=sys.stderr,
    )
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


def _rest(context: typer.Context, given: Set[str]) -> str:
    """Return the other options of a command line as a shell takes them, each after a space."""
    words: list[str] = []
    for parameter in context.command.params:
        if parameter.name in given:
            value, flag = context.params[parameter.name], parameter.opts[0]
            values = value if isinstance(value, list | tuple) else [value]
            words += [flag] if value is True else [w for v in values for w in (flag, str(v))]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _only_mode(context: typer.Context, given: Set[str]) -> str | None:
    """Return the old flag among the options that were given, after checking the others."""
    values = context.params
    modes = sorted(given & _FLAGS.keys())
    if len(modes) > 1:
        commands = " or ".join(_command(mode, values[mode]) for mode in modes)
        raise typer.BadParameter(f"--{' and --'.join(modes)} are commands now; give {commands}")
    if "part" in given and "plan" not in given:
        words = f"emo job run JOB --part {shlex.quote(values['part'])}"
        raise typer.BadParameter(f"--part needs a job: `{words}`")
    if "watch" in given and "status" not in given:
        raise typer.BadParameter("--watch needs a job: `emo job watch JOB`")
    if not modes:
        return None
    mode = modes[0]
    allowed = _FLAGS[mode] | (executor_flags().keys() if mode == "resume" else set()) | {mode}
    typed = {
        each.name: each.opts[0] if each.param_type_name == "option" else each.metavar
        for each in context.command.params
    }
    if others := sorted(str(typed[name]) for name in given - allowed):
        raise typer.BadParameter(
            f"--{mode} is {_command(mode, values[mode])} now, which goes by the job's own "
            f"options; leave out {', '.join(others)}"
        )
    return mode


def _command(mode: str, job: str) -> str:
    """Return the command that does what an old flag does, as a shell takes it."""
    return f"`emo job {_COMMANDS[mode]} {shlex.quote(job)}`"
