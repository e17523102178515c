"""Plugins whose file is unfinished or fails: one line for them, and the others go on."""

import inspect

import pytest

import emo as package
from emo import plugins
from emo.commands.flags import executor_options
from emo.datasets.dataset import Dataset

ROOMS = {
    "heads": plugins.HEADS,
    "backbones": plugins.BACKBONES,
    "formats": plugins.FORMATS,
    "executors": plugins.EXECUTORS,
    "datasets": plugins.DATASETS,
    "trackers": plugins.TRACKERS,
}
FAULTS = {
    "none": ("X = 1\n", "found none"),
    "two": ("{head}class A({base}): pass\nclass B({base}): pass\n", "found A and B"),
    "raises": ("raise RuntimeError('not yet')\n", "not yet"),
    "divides": ("{head}class A({base}): pass\n1 / 0\n", "division by zero (ZeroDivisionError)"),
}
CONTRACTS = {
    "heads": ("emo.heads.head", "Head"),
    "backbones": ("emo.extract.backbone", "Backbone"),
    "formats": ("emo.store.exchange.format", "Format"),
    "executors": ("emo.extract.executor", "Executor"),
    "datasets": ("emo.datasets.dataset", "Dataset"),
    "trackers": ("emo.report.trackers.tracker", "Tracker"),
}


@pytest.fixture
def plugin_file(tmp_path, monkeypatch, request):
    """A function that writes a plugin's file beside those of emo."""

    def write(what, name, text):
        module = __import__(ROOMS[what], fromlist=["_"])
        folder = tmp_path.joinpath("rooms", *ROOMS[what].split(".")[1:])
        folder.mkdir(parents=True)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "rooms")])
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        (folder / f"{name}.py").write_text(text)
        _forget()
        return folder / f"{name}.py"

    yield write
    monkeypatch.undo()
    _forget()


def _forget():
    executor_options.executors.cache_clear()
    executor_options.executor_flags.cache_clear()


@pytest.mark.parametrize("what", ROOMS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_one_line_and_stops_nothing_else(emo, plugin_file, what, fault):
    module, base = CONTRACTS[what]
    text, said = FAULTS[fault]
    name = f"unfinished_{what}_{fault}"
    file = plugin_file(what, name, text.format(head=f"from {module} import {base}\n", base=base))
    code, out, err = emo("list", what)
    (row,) = [line for line in out.splitlines() if line.startswith(name)]
    assert (code, err) == (0, "")
    if fault != "divides" or what == "datasets":  # only data sets are imported for the list
        assert "It cannot be used: " in row
        assert said in row
    code, out, err = emo("list", what, name)
    if fault == "divides" and what == "executors":
        return  # shown from its source
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert (str(file) in err, said in err, "<class" in err) == (True, True, False)


def test_an_unfinished_data_set_is_named_with_what_it_lacks(emo, plugin_file, tmp_path):
    text = "from emo.datasets.dataset import Dataset\nclass D(Dataset):\n    pass\n"
    file = plugin_file("datasets", "bds", text)
    code, out, err = emo("list", "datasets")
    assert (code, err, "meld" in out) == (0, "", True)
    contract = inspect.getsourcefile(Dataset)
    said = (
        f"{file}: class D lacks read, stated, card; the contract is emo.datasets.dataset "
        f"({contract})"
    )
    assert f"It cannot be used: {said}" in out
    for words in (["list", "datasets", "bds"], ["dataset", "bds", "."]):
        code, _, err = emo(*words)
        assert (code, err) == (1, f"emo: error: dataset 'bds' cannot be used: {said}\n")


@pytest.mark.parametrize("fault", FAULTS)
def test_using_a_faulty_executor_is_one_line(emo, plugin_file, tmp_path, fault):
    (tmp_path / "m.csv").write_text("id,text\na,one\n")
    text, said = FAULTS[fault]
    head = "from emo.extract.executor import Executor\n"
    name = f"used_{fault}"
    file = plugin_file("executors", name, text.format(head=head, base="Executor"))
    words = ["--backbone", "tests.make_backbone:Letters", "--executor", name]
    code, _, err = emo("extract", "m.csv", *words)
    assert (code, err.count("\n"), str(file) in err, said in err) == (1, 1, True, True)


def test_a_missing_library_of_ones_own_is_not_said_to_be_ours(emo, plugin_file):
    plugin_file("formats", "their_format", "import a_library_of_theirs\n")
    code, _, err = emo("list", "formats", "their_format")
    assert (code, "needs the module 'a_library_of_theirs', which is not installed" in err) == (
        1, True,
    )  # fmt: skip
    assert "pip install" not in err
