"""The help of every command: whole sentences, 80 columns, words for values that people know."""

import dataclasses
import re

import pytest
import typer

from emo.cli import app
from emo.commands.adapt import _AdaptCommand
from emo.commands.extract import _ExtractCommand
from emo.commands.fit_head import _FitCommand
from emo.commands.flags.executor_options import executor_flags
from emo.commands.flags.sections import COMMANDS as SECTIONS
from emo.commands.flags.sections import OF_EXECUTORS
from emo.heads.options import FitOptions, LoopOptions


def walk(command, words=()):
    """Yield ``(words, command)`` of a command and of all below it."""
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*words, name))


COMMANDS = [pytest.param(words, command, id=" ".join(("emo", *words)))
            for words, command in walk(typer.main.get_command(app))]  # fmt: skip


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_a_help_fits_80_columns_and_names_no_python_type(emo, words, command):
    code, out, err = emo(*words, "--help")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if len(line) > 80] == []
    assert not re.search(r"<(list|tuple|str|int|float|path)\b|PLACE", out)


@pytest.mark.parametrize(
    ("words", "command"), [each for each in COMMANDS if hasattr(each.values[1], "commands")]
)
def test_summaries_are_whole_sentences(emo, words, command):
    _, out, _ = emo(*words, "--help")
    start = "Commands:" if words else f"{next(iter(SECTIONS))}:"
    lines = out[out.index(start) :].splitlines()
    lines = [line for line in lines if line.startswith("  ")]
    assert len(lines) == len(command.commands)  # none goes on in a second line
    for line in lines:
        summary = line.split(maxsplit=1)[1]
        assert summary[0].isupper()
        assert summary.endswith(".")
        assert "..." not in summary


def test_every_command_stands_under_a_title_of_the_help(emo):
    listed = [name for names in SECTIONS.values() for name in names.split()]
    assert sorted(listed) == sorted(typer.main.get_command(app).commands)
    assert "More:" not in emo("--help")[1]


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_every_option_has_a_sentence(words, command):
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or "completion" in parameter.name:
            continue
        text = parameter.help or ""
        assert text.endswith("."), parameter.name
        assert len(text.split()) >= 3, f"{parameter.name}: {text}"
        assert not re.match(r"(Of|The same|As|Its)\b|\w+\.$", text), parameter.name


@pytest.mark.parametrize("command", [_ExtractCommand, _FitCommand, _AdaptCommand])
def test_every_option_of_the_long_helps_has_a_title(command):
    (found,) = [param.values[1] for param in COMMANDS if type(param.values[1]) is command]
    listed = " ".join(names for names in command.sections.values()).split()
    assert len(listed) == len(set(listed))
    options = {p.name for p in found.params if p.param_type_name == "option" and not p.hidden}
    if OF_EXECUTORS in command.sections:
        options -= executor_flags().keys()
    assert options == set(listed)


def test_extract_shows_each_executors_options_under_its_title(emo):
    _, out, _ = emo("extract", "--help")
    titles = re.findall(r"^(\w.*):$", out, re.MULTILINE)
    assert titles == [
        "Arguments", "Clips and models", "Faces", "This machine", "Ray (--executor ray)",
        "Slurm (--executor slurm)", "Going on", "Options",
    ]  # fmt: skip
    slurm = out[out.index("Slurm (") : out.index("Going on")]
    for name in ("--partition NAME", "--cpus-per-task N", "--retries N", "--sbatch-arg OPTION"):
        assert name in slurm
    for old in ("--status", "--resume", "--plan ", "--watch", "--part "):
        assert old not in out


def test_the_defaults_that_fit_head_shows_are_those_of_the_options():
    (command,) = [p.values[1] for p in COMMANDS if type(p.values[1]) is _FitCommand]
    kinds = (LoopOptions, FitOptions)
    fields = {each.name: each.default for kind in kinds for each in dataclasses.fields(kind)}
    seen = 0
    for parameter in command.params:
        shown = re.search(r"default: ([\w.]*\w)", parameter.help or "")
        if not shown or parameter.name not in fields:
            continue
        default = fields[parameter.name]
        if default not in (None, (), "") and not isinstance(default, dict):
            seen += 1
            is_number = isinstance(default, int | float)
            assert (float(shown[1]) if is_number else shown[1]) == default, parameter.name
    assert seen >= 14
