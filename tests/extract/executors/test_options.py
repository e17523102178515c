"""Options of executors: read from source files for the help, and equal to the dataclasses."""

import dataclasses
import inspect
import os
import subprocess
import sys

import pytest
import typer

import emo
from emo import plugins
from emo.cli import app
from emo.commands.extract import extract
from emo.commands.flags import executor_options
from emo.commands.flags.executor_options import executors, given_options, with_executor_options
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
def executor_file(tmp_path, monkeypatch):
    """A function that writes an executor's file beside those of emo."""
    folder = tmp_path / "rooms" / "extract" / "executors"
    folder.mkdir(parents=True)
    monkeypatch.setattr(emo, "__path__", [*emo.__path__, str(tmp_path / "rooms")])

    def write(name, text):
        (folder / f"{name}.py").write_text(text)
        for function in (executor_options.executors, executor_options.executor_flags):
            function.cache_clear()
        return folder / f"{name}.py"

    yield write
    for function in (executor_options.executors, executor_options.executor_flags):
        function.cache_clear()


@pytest.fixture
def queue(executor_file):
    """An executor in a file of its own, whose library is not installed."""
    executor_file("grid", NEW)


@pytest.mark.usefixtures("queue")
def test_a_new_executor_is_one_file_and_its_flags_are_there(emo, monkeypatch, capsys):
    title, lines = executor_options.executor_help()["grid"]
    assert title == "Grid"
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
    assert "grid   It cannot be imported here: the library no_such_library" in out


FIELD = 'partition: str = field(default="all", metadata={"help": "Queue to use."})'
FAULTS = {
    "when: str = os.environ['WHEN']": "field when: expected a default that is written out",
    "tags: tuple[str, ...] = field(default_factory=tuple)": "found default_factory=",
    "tags: list[str] | None = None": "field tags: expected one of the types int, float or str",
    "tags: bool | None = None": "field tags: expected one of the types",
    "tags: str": "field tags: expected a default, found none",
    "depth: int = 'two'": "field depth: expected a default of type int, found 'two'",
    "quiet: bool = True": "field quiet: expected the default False",
    "depth: int = field(default=1, metadata=HELP)": "field depth: expected metadata that are",
    "depth: int = field(default=1, metadata={'help': 3})": "expected metadata that are a dict of",
    "workers: int = 1": "field workers: expected another name, `emo extract` or",
    "depth: int = 1": 'field depth: expected metadata={"help": "…"}, found no help',
    "Depth: int = 1": "field Depth: expected a name of small letters",
    "time: int = 1": "field time: expected the type str that --time has in ",
    "is not Python": "line 10: expected Python code, found: invalid syntax",
}


@pytest.mark.parametrize(("field", "said"), FAULTS.items(), ids=range(len(FAULTS)))
def test_a_faulty_field_is_told_with_its_file_and_stops_nothing_else(
    emo, executor_file, field, said
):
    file = executor_file("aqueue", NEW.replace(FIELD, field))
    assert f"{said}" in executor_options.executor_faults()["aqueue"]
    flags = executor_options.executor_flags()
    assert (flags["time"].kind, "nice" in flags) == ("str", False)
    code, out, _ = emo("extract", "--help")
    assert (code, "Aqueue (--executor aqueue)" in out, "(cannot be used)" in out) == (0, True, True)
    code, out, _ = emo("list", "executors")
    assert (code, "aqueue  It cannot be used: " in out, "slurm" in out) == (0, True, True)
    for words in (
        ["extract", "m.csv", "--executor=aqueue", "--nice", 3],
        ["job", "resume", "--executor", "aqueue"],
        ["list", "executors", "aqueue"],
    ):
        code, _, err = emo(*words)
        assert (code, err.count("\n")) == (1, 1)
        assert (str(file) in err, said in err) == (True, True)
    code, _, err = emo("extract", "none.csv", "--executor", "slurm")
    assert (code, "none.csv" in err) == (1, True)


def test_the_command_starts_beside_a_faulty_executor(executor_file):
    folder = executor_file("aqueue", "class Queue(").parents[2]
    code = f"import emo; emo.__path__.append({str(folder)!r}); from emo.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Write frozen embeddings" in done.stdout


def test_one_flag_of_two_types_is_refused_with_both_files(executor_file):
    file = executor_file("aqueue", NEW.replace(FIELD, "time: int = 1"))
    with pytest.raises(PluginError, match="take it, or rename the field") as refused:
        executor_options.check_executor(["--executor", "aqueue", "--time", "4:00:00"])
    assert str(file) in str(refused.value)
    assert f"extract{os.sep}executors{os.sep}slurm.py, found int" in str(refused.value)
    executor_options.check_executor(["--executor", "slurm", "--time", "4:00:00"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Options = QueueOptions", "Options = make()", "expected a dataclass in the same file"),
        ("@dataclass(frozen=True)\n", "", "class QueueOptions: expected a frozen dataclass"),
        ("class QueueOptions:", "class QueueOptions(Other):", "expected no base class"),
        (
            "class Queue(Executor):",
            "class Queue(Other):",
            "expected a public class that inherits",
        ),
    ],
)
def test_a_class_that_cannot_be_read_is_told(executor_file, old, new, said):
    executor_file("grid", NEW.replace(old, new))
    assert said in executor_options.executor_faults()["grid"]


def test_options_may_stand_in_the_class_or_be_left_out(executor_file):
    class_in = (
        "    @dataclass\n    class Options:\n"
        "        nice: 'int | None' = field(default=None, metadata={'help': 'Be nice.'})\n"
    )
    executor_file("inner", NEW.replace("    Options = QueueOptions\n", class_in))
    executor_file("grid", NEW.replace("    Options = QueueOptions\n", ""))
    found = {name: lines for name, (_, lines) in executor_options.executor_help().items()}
    assert (found["inner"], found["grid"]) == ([("--nice N", "Be nice.")], [])


def test_no_field_can_take_the_name_of_a_flag_of_the_commands():
    names = {"help", "executor_options"} | set(inspect.signature(extract).parameters)
    names -= executor_options.executor_flags().keys()
    for words in (("extract",), ("predict",), ("job", "resume")):
        command = typer.main.get_command(app)
        for word in words:
            command = command.commands[word]
        own = [p for p in command.params if p.name not in executor_options.executor_flags()]
        names |= {p.name for p in own}
        names |= {flag.lstrip("-").replace("-", "_") for p in own for flag in p.opts}
    assert names == executor_options.TAKEN


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
    with pytest.raises(
        OptionError, match=r"^executor 'slurm': unknown option 'partitions'; did you mean 'parti"
    ):
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
    names = list(inspect.signature(extract).parameters)
    assert len(names) == len(set(names))
    assert {"partition", "address", "retries", "cpus_per_task"} <= set(names)


def test_a_list_may_be_repeated_and_a_single_value_may_not():
    words = ["sbatch_arg=--mem=1G", "executor.sbatch_arg=--nice"]
    assert options_from_words("slurm", words) == {"sbatch_arg": ("--mem=1G", "--nice")}
    with pytest.raises(OptionError, match="partition is given twice"):
        options_from_words("slurm", ["partition=gpu", "partition=cpu"])
