"""Options of executors: read from source files for the help, and equal to the dataclasses."""

import dataclasses
import inspect

import pytest
import typer

import emo
from emo import plugins
from emo.commands import executor_options
from emo.commands.executor_options import executors, given_options, with_executor_options
from emo.errors import OptionError, PluginError
from emo.extract.executor import Executor, make_executor, options_from_words

TYPES = {"int", "float", "str", "int | None", "float | None", "str | None", "bool",
         "tuple[str, ...]"}  # fmt: skip
NEW = '''
"""A queue of ours."""
from dataclasses import dataclass, field
import no_such_library
from emo.extract.executor import Executor

@dataclass(frozen=True)
class QueueOptions:
    """Options."""
    partition: str = field(default="all", metadata={"help": "Queue to use."})
    nice: int | None = field(default=None, metadata={"help": "Niceness of tasks."})
    is_quiet: bool = field(default=False, metadata={"help": "Say nothing."})

class Queue(Executor):
    """Runs parts somewhere else. Or not."""
    Options = QueueOptions
'''


@pytest.mark.parametrize("source", executors(), ids=lambda source: source.name)
def test_the_help_reads_what_the_executor_has(source):
    try:
        kind = plugins.load(plugins.EXECUTORS, source.name, Executor)
    except PluginError as error:
        pytest.skip(str(error))
    for ours, field in zip(source.options(), dataclasses.fields(kind.Options), strict=True):
        assert (ours.name, ours.default) == (field.name, field.default)
        assert ours.help == field.metadata["help"]
        assert ours.metavar == field.metadata.get("metavar")
    assert source.attribute("title") == kind.title
    assert source.summary.rstrip(".") in " ".join(kind.__doc__.split())


@pytest.mark.parametrize("source", executors(), ids=lambda source: source.name)
def test_options_have_a_type_that_a_flag_can_have_and_a_sentence(source):
    for option in source.options():
        assert option.annotation in TYPES
        assert option.help[0].isupper()
        assert option.help.endswith(".")
        assert len(option.help.split()) >= 3


def test_executors_agree_on_the_type_of_a_flag_that_several_have():
    types = {}
    for source in executors():
        for option in source.options():
            kind = option.annotation.removesuffix(" | None")
            assert types.setdefault(option.name, kind) == kind


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """An executor in a file of its own, whose library is not installed."""
    folder = tmp_path / "extract" / "executors"
    folder.mkdir(parents=True)
    (folder / "queue.py").write_text(NEW)
    monkeypatch.setattr(emo, "__path__", [*emo.__path__, str(tmp_path)])
    for function in (executor_options.executors, executor_options.executor_flags):
        function.cache_clear()
    yield
    for function in (executor_options.executors, executor_options.executor_flags):
        function.cache_clear()


@pytest.mark.usefixtures("queue")
def test_a_new_executor_is_one_file_and_its_flags_are_there(emo, monkeypatch, capsys):
    title, lines = executor_options.executor_help()["queue"]
    assert title == "Queue"
    assert lines == [
        ("--partition TEXT", "Queue to use.  [default: all]"),
        ("--nice N", "Niceness of tasks."),
        ("--is-quiet", "Say nothing."),
    ]
    heard = {}

    def command(name: str = "x", **options: object) -> None:
        heard.update(options)

    app = typer.Typer()
    app.command()(with_executor_options(command))
    app(["--nice", "3", "--is-quiet", "--time", "5"], standalone_mode=False)
    assert given_options(heard) == {"nice": 3, "is_quiet": True, "time": "5"}
    _, out, _ = emo("list", "executors")
    assert "queue  It cannot be imported here: the library no_such_library" in out


def test_given_options_keep_a_zero():
    values = {"retries": 0, "gpus_per_task": 0.0, "time": None, "env_setup": [], "quiet": False}
    assert given_options(values) == {"retries": 0, "gpus_per_task": 0.0}


def test_an_option_of_another_executor_is_refused():
    with pytest.raises(OptionError, match="--partition: the executor local has no such option; "
                       "it has --retries"):  # fmt: skip
        make_executor("local", None, {"partition": "gpu"})
    with pytest.raises(OptionError, match="--max-parallel: expected 1 or more, got 0"):
        make_executor("slurm", None, {"max_parallel": 0})
    with pytest.raises(OptionError, match="--qos 'a b': expected a word without spaces"):
        make_executor("slurm", None, {"qos": "a b"})


def test_options_without_a_flag_are_given_by_name():
    found = options_from_words("slurm", ["parts_per_task=3", "executor.sbatch_arg=--mem=1G"])
    assert found == {"parts_per_task": 3, "sbatch_arg": ("--mem=1G",)}
    assert make_executor("slurm", None, found).options.parts_per_task == 3
    with pytest.raises(OptionError, match="did you mean 'partition'"):
        options_from_words("slurm", ["partitions=gpu"])


@dataclasses.dataclass(frozen=True)
class EchoOptions:
    """Options of an executor that stands in no folder of emo."""

    word: str = "hm"


class Echo(Executor):
    """Says a word."""

    Options = EchoOptions

    def __init__(self, workers, options):
        self.options = options

    def run(self, folder, parts, progress, *, is_dry_run=False):
        raise OptionError(f"echo: {self.options.word}")


def test_an_executor_from_elsewhere_gets_its_options_too(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text\na,one\n")
    words = ["--executor", f"{__name__}:Echo", "-o", "executor.word=hello", "-o", "width=4"]
    code, _, err = emo("extract", "m.csv", "--backbone", "tests.make_backbone:Letters", *words)
    assert (code, err) == (1, "emo: error: echo: hello\n")
    code, _, err = emo("job", "resume", "features", "-o", "word=again")
    assert (code, err) == (1, "emo: error: echo: again\n")


def test_the_signature_of_the_command_holds_every_flag_once():
    from emo.commands.extract import extract

    names = list(inspect.signature(extract).parameters)
    assert len(names) == len(set(names))
    assert {"partition", "address", "retries", "cpus_per_task"} <= set(names)


def test_a_list_may_be_repeated_and_a_single_value_may_not():
    words = ["sbatch_arg=--mem=1G", "executor.sbatch_arg=--nice"]
    assert options_from_words("slurm", words) == {"sbatch_arg": ("--mem=1G", "--nice")}
    with pytest.raises(OptionError, match="partition is given twice"):
        options_from_words("slurm", ["partition=gpu", "partition=cpu"])
