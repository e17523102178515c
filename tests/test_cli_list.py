"""`emo list`: one line each from source files without torch; one plugin in full with its name."""

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from emo import plugins
from emo.adapt.planning.presets import ADAPT_PRESETS
from emo.cli import app
from emo.commands.lists.one_plugin import plugin_text
from emo.commands.lists.sources.plugin_source import first_sentence, read_plugin, read_plugins
from emo.commands.lists.table import PACKAGES, needs_of, plugin_table
from emo.errors import EmoError, PluginError
from emo.extract.backbone import Backbone
from emo.extract.executor import Executor
from emo.heads.head import Head
from emo.heads.presets import PRESETS
from emo.report.trackers.tracker import Tracker
from emo.score.metrics import METRICS
from emo.store.exchange.format import Format

CONTRACTS = {"backbones": Backbone, "heads": Head, "executors": Executor, "formats": Format,
             "trackers": Tracker}  # fmt: skip
WHATS = [*PACKAGES, "datasets", "presets", "metrics"]
EVERY = [(what, name) for what, (package, _) in PACKAGES.items()
         for name in plugins.available(package)]  # fmt: skip
OTHERS = {
    "datasets": plugins.available(plugins.DATASETS),
    "presets": [*PRESETS, *ADAPT_PRESETS],
    "metrics": METRICS,
}
MORE = [(what, name) for what, names in OTHERS.items() for name in names]
GOLDEN = Path(__file__).parent / "golden_store_v1"
CODE = """
import sys
from emo.cli import main
sys.argv = ["emo", *sys.argv[1:]]
try:
    main()
finally:
    print([name for name in ("torch", "transformers", "zarr", "av") if name in sys.modules])
"""


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    "words", [["list", what] for what in WHATS] + [["store", "ls", str(GOLDEN / "features")]],
    ids=lambda words: words[1],
)  # fmt: skip
def test_a_list_imports_no_torch(words):
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


@pytest.mark.parametrize("what", WHATS)
def test_a_table_names_all_and_fits_80_columns(what):
    lines = plugin_table(what).splitlines()
    assert max(map(len, lines)) <= 80
    names = [name for kind, name in EVERY + MORE if kind == what]
    firsts = {line.split()[0] for line in lines if line}
    assert set(names) <= firsts
    assert any(f"`emo list {what} NAME`" in line for line in lines)


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("columns", [80, 200])
def test_a_row_is_one_line_and_a_wide_terminal_shows_all(what, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    table, _ = plugin_table(what).split("\n\n")
    names = [name for kind, name in EVERY + MORE if kind == what]
    assert [line.split()[0] for line in table.splitlines()] == ["name", *names]
    assert max(map(len, table.splitlines())) <= columns
    assert ("…" in table) <= (columns == 80)
    if what in ("backbones", "heads"):  # these were written to fit
        assert "…" not in table


@pytest.mark.parametrize(("what", "name"), EVERY)
def test_the_source_says_what_the_class_says(what, name):
    package, contracts = PACKAGES[what]
    source = read_plugin(package, name, contracts)
    try:
        kind = plugins.load(package, name, CONTRACTS[what])
    except PluginError as error:
        assert source.missing_library
        pytest.skip(str(error))
    assert source.missing_library is None
    assert source.plugin.name == kind.__name__
    assert source.summary == first_sentence(kind.__doc__)
    assert len(source.summary) > 10


@pytest.mark.parametrize("name", plugins.available(plugins.BACKBONES))
def test_the_needs_of_a_backbone_are_among_those_its_source_names(name):
    named = needs_of(read_plugin(plugins.BACKBONES, name, {"Backbone", "Model"}))
    assert named
    kind = plugins.load(plugins.BACKBONES, name, Backbone)
    try:
        needs = kind.needs(kind.tiny().options)
    except EmoError:
        pytest.skip("told by the manifest")
    for modality, is_needed in (
        ("video", needs.frames), ("audio", needs.audio), ("text", needs.text),
        ("array", needs.array),
    ):  # fmt: skip
        assert not is_needed or modality in named


@pytest.mark.parametrize(("what", "name"), EVERY + MORE)
def test_one_in_full_fits_80_columns_and_shows_each_option(what, name):
    try:
        text = plugin_text(what, name)
    except PluginError as error:
        pytest.skip(str(error))
    assert text.startswith(f"{name}: ")
    assert [line for line in text.splitlines() if len(line) > 80] == []
    if what in ("backbones", "heads"):
        kind = plugins.load(PACKAGES[what][0], name, CONTRACTS[what])
        for option in kind.Options.__dataclass_fields__:
            assert f"\n  {option} " in text


def test_a_backbone_in_full_names_streams_licence_and_source(emo):
    code, out, _ = emo("list", "backbones", "classic")
    assert code == 0
    words = " ".join(out.split())
    for said in ("needs video, audio, text", "streams audio (T, 125), face", "licence Apache-2.0",
                 "source ours", "parameters none", "weights none", "[8]"):  # fmt: skip
        assert said in words


@pytest.mark.parametrize(("name", "backbone"), [("minilm", "hf"), ("clip-vit-b-32", "openclip")])
def test_a_model_among_the_backbones_is_pointed_to_its_own_list(name, backbone, emo):
    code, _, err = emo("list", "backbones", name)
    assert code == 1
    assert f"the backbone {backbone} runs: `emo list models {name}`" in " ".join(err.split())


def test_a_backbone_from_elsewhere_is_not_called_ours(emo):
    code, out, _ = emo("list", "backbones", "tests.make_backbone:Letters")
    words = " ".join(out.split())
    assert (code, "needs text streams letters (T, 3) weights not stated" in words) == (0, True)
    for fact in ("parameters", "licence", "source"):
        assert f"{fact} not stated" in words
    assert "Apache" not in words


@pytest.mark.parametrize("name", plugins.available(plugins.BACKBONES))
def test_one_backbone_shows_the_needs_of_the_list(name):
    listed = needs_of(read_plugin(plugins.BACKBONES, name, {"Backbone", "Model"}))
    assert f"\nneeds       {listed}" in plugin_text("backbones", name)


@pytest.mark.parametrize("name", plugins.available("emo.heads.library"))
def test_a_head_shows_its_tasks_and_its_source(name):
    words = " ".join(plugin_text("heads", name).split())
    assert re.search(r" tasks classify(, multilabel)?, regress(, pairs)? reads ", words)
    assert re.search(r" source (\w+ .*(19|20)\d\d|the team's)", words)


def test_an_executor_is_shown_without_its_library(emo, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = emo("list", "executors", "ray")
    assert (code, err) == (0, "")
    assert "the library ray is not installed: pip install" in " ".join(out.split())
    assert "\n  --address        The cluster: auto or HOST:PORT" in out


def test_an_executor_from_elsewhere_shows_how_its_options_are_given(emo):
    name = "tests.extract.executors.test_options:Echo"
    code, out, _ = emo("list", "executors", name)
    assert (code, "options, given as -o executor.NAME=VALUE:\n  word  [hm]" in out) == (0, True)
    assert "--word" not in out


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_shows_its_options_as_they_are_typed(name):
    text = plugin_text("presets", name)
    command = typer.main.get_command(app).commands["fit-head"]
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert set(re.findall(r"--[\w-]+", text)) <= known
    assert not re.search(r"[(),]'|'[(),]", text)  # no tuple of Python
    if name == "semeval-joint0":
        assert "\noptions      --target emotion --target cause --batch-size 8\n" in text


def test_the_text_of_a_preset_stands_alone():
    for name, preset in PRESETS.items():
        assert re.match(r"[A-Z]|the team's ", preset.source), name
        assert not re.search(r"the same|experiment \d: (experiment|with) ", preset.source), name


def test_a_name_that_is_none_is_one_line(emo):
    code, _, err = emo("list", "heads", "bilstmm")
    assert (code, "did you mean 'bilstm'" in err, err.count("\n")) == (1, True, 1)
    code, _, err = emo("list", "metrics", "f1")
    assert (code, err.count("\n")) == (1, 1)


def test_a_library_that_is_missing_is_said_in_its_row(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    rows = {source.name: source.summary for source in read_plugins(*PACKAGES["formats"])}
    assert rows["hdf5"] == "It cannot be imported here: the library h5py is not installed."
    assert rows["npz"].startswith("One file with ids")


@pytest.mark.bench
@pytest.mark.parametrize("what", [*WHATS, "ls"])
def test_a_list_takes_at_most_half_a_second(what, capsys):
    words = ["store", "ls", str(GOLDEN / "features")] if what == "ls" else ["list", what]
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        command = [sys.executable, "-m", "emo", *words]
        subprocess.run(command, check=True, capture_output=True, env=os.environ)
        seconds.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\nemo {' '.join(words[:2])}: median of 9: {statistics.median(seconds):.3f} s")
    assert statistics.median(seconds) <= 0.5
