"""The `--help` of a command: its options under titles, its examples one a line."""

from collections.abc import Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from emo.commands.flags.executor_options import check_executor, executor_flags, executor_help

OF_EXECUTORS = "of executors"
"""The title in :attr:`SectionedCommand.sections` where each executor's options are listed."""

INPUTS = (
    "FILE", "FOLDER", "STORE", "MANIFEST", "RUN", "RUN RUN", "RECIPE", "NAME", "JOB", "COLUMN",
    "COLUMN|N", "A,B,C", "TEXT", "PARTS", "COLUMN OLD=NEW,OLD=",
)  # fmt: skip
"""Metavars of options that name an input or an output. Such an option is refused if it is given
twice and does not repeat; of numbers and choices, the last one counts."""

_LEFT = 26
"""Characters of the left column at most; a longer flag has a line of its own."""


class SectionedCommand(TyperCommand):
    """A command whose help lists its options under titles, and that refuses inputs given twice."""

    sections: ClassVar[Mapping[str, str]] = {}
    """Title -> names of parameters. Those that are in none stand under "Options" at the end."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line.

        Raises:
            BadParameter: an option that names an input and does not repeat is given twice.
            PluginError: the executor that is named has a faulty file.
        """
        if OF_EXECUTORS in self.sections:
            check_executor(args)
        rest: list[str] = super().parse_args(ctx, list(args))
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in order:
            is_input = parameter.metavar in INPUTS and parameter.param_type_name == "option"
            if is_input and not parameter.multiple and order.count(parameter) > 1:
                raise typer.BadParameter(
                    f"{parameter.opts[0]} is given {order.count(parameter)} times, and only one "
                    "of them would count; give it once"
                )
        return rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of options.

        Args:
            ctx: the context of click, or of the copy of click inside typer.
            formatter: collects the text.
        """
        records = {
            parameter.name: _record(parameter, ctx)
            for parameter in self.get_params(ctx)
            if not getattr(parameter, "hidden", False)
        }
        arguments = [each.name for each in self.params if each.param_type_name == "argument"]
        written = {"Arguments": [records.pop(name) for name in arguments if name in records]}
        for title, names in self.sections.items():
            if title == OF_EXECUTORS:
                for name, (heading, lines) in executor_help().items():
                    known = heading in written
                    written.setdefault(
                        heading if known else f"{heading} (--executor {name})", []
                    ).extend(lines)
                records = {k: v for k, v in records.items() if k not in executor_flags()}
            else:
                shown = [records.pop(name) for name in names.split() if name in records]
                written.setdefault(title, []).extend(shown)
        written.setdefault("Options", []).extend(records.values())
        lengths = [len(typed) for lines in written.values() for typed, _ in lines]
        left = max(length for length in lengths if length <= _LEFT)
        for title, lines in written.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl([(typed.ljust(left), text) for typed, text in lines])


COMMANDS = {
    "Start": "demo list",
    "Prepare data": "dataset manifest check",
    "Extract": "extract weights job store",
    "Fit and compare": "fit-head predict compare score submit rerun",
    "Look": "show plot report view log",
    "Adapt, retrieve, serve": "adapt search duplicates zero-shot retrieve serve",
}
"""Title -> commands of `emo`, in the order in which a project meets them; docs/ has it, too."""


class SectionedGroup(TyperGroup):
    """The command `emo`, whose help lists its commands under the titles of :data:`COMMANDS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of commands; those that stand in none come last, under "More".

        Args:
            ctx: the context of click, or of the copy of click inside typer.
            formatter: collects the text.
        """
        rest = {
            name: command for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        }  # fmt: skip
        left = max(map(len, rest))
        for title, names in {**COMMANDS, "More": " ".join(rest)}.items():
            shown = [(name, rest.pop(name)) for name in names.split() if name in rest]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(
                        [(name.ljust(left), each.get_short_help_str(80)) for name, each in shown]
                    )


def _record(parameter: Any, ctx: Any) -> tuple[str, str]:
    """Return the two columns of a parameter: how it is typed, and what it is."""
    typed, text = parameter.get_help_record(ctx)
    if parameter.param_type_name == "argument" and parameter.metavar:
        typed = parameter.metavar
    return typed, text


def examples(*commands: str, more: str = "") -> str:
    """Return the text below a help: one example a line, never wrapped, and then ``more``.

    >>> print(examples("emo store ls features", "emo store ls s3://bucket/features"))
    \b
    Example: emo store ls features
             emo store ls s3://bucket/features
    """
    lines = "\n         ".join(commands)
    text = f"\b\nExample: {lines}"
    return f"{text}\n\n{more}" if more else text
