"""Tests of emo/plugins.py."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

import emo
from emo import plugins
from emo.datasets.dataset import Dataset
from emo.errors import OptionError, PluginError
from emo.extract.backbone import Backbone
from emo.extract.executor import Executor


@dataclass(frozen=True)
class Options:
    frames: int = 8
    margin: float = 0.0
    mode: Literal["a", "b"] = "a"
    limit: int | None = None
    is_fast: bool = False

    def __post_init__(self):
        if self.frames < 1:
            raise ValueError(f"frames: expected 1 or more, got {self.frames}")


def test_the_file_name_is_the_registry():
    assert {"classic", "faces", "logmel"} <= set(plugins.available("emo.extract.backbones"))
    assert plugins.load("emo.extract.executors", "local", Executor).__name__ == "Local"


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(PluginError, match=r"unknown backbone 'clasic'; did you mean 'classic'"):
        plugins.load("emo.extract.backbones", "clasic", Backbone)
    assert plugins.unknown("column", "x", ["label"]) == "unknown column 'x'. Available: label."


def test_a_name_like_no_other_is_one_sentence_and_the_names_another():
    with pytest.raises(PluginError, match=r"unknown backbone 'qqqq'\. Available: "):
        plugins.load("emo.extract.backbones", "qqqq", Backbone)


def test_a_class_from_elsewhere_is_loaded_by_its_path():
    kind = plugins.load("emo.extract.backbones", "tests.make_backbone:Letters", Backbone)
    assert kind.__name__ == "Letters"


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "emo.extract.executors.ray", raising=False)
    with pytest.raises(PluginError, match=r"pip install 'emo-pipeline\[ray\]'"):
        plugins.load("emo.extract.executors", "ray", Executor)


def test_what_a_class_from_elsewhere_lacks_is_named(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "their_own.py").write_text("import a_library_of_theirs\n")
    (tmp_path / "broken.py").write_text("from emo.extract.backbone import Nothing\n")
    said = {
        "no_such_module:Thing": "there is no module 'no_such_module' on the Python path; name the",
        "emo.no_such:Thing": "there is no module 'emo.no_such' on the Python path",
        "their_own:Thing": "their_own needs the module 'a_library_of_theirs', which is not inst",
        "broken:Thing": "broken: cannot import name 'Nothing'",
    }
    for name, words in said.items():
        with pytest.raises(PluginError) as caught:
            plugins.load("emo.extract.backbones", name, Backbone)
        assert words in str(caught.value)
        assert "emo-pipeline" not in str(caught.value)


def test_options_convert_by_their_type():
    pairs = {"frames": "4", "margin": ".5", "mode": "b", "limit": "none", "is_fast": "yes"}
    assert plugins.parse_options(Options, pairs, "x") == Options(4, 0.5, "b", None, True)
    assert plugins.parse_options(Options, {"limit": "3"}, "x").limit == 3


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"frame": "4"}, "did you mean 'frames'"),
        ({"frames": "four"}, r"option x.frames: expected int; got 'four'"),
        ({"frames": "0"}, "expected 1 or more"),
        ({"mode": "c"}, "expected one of a, b"),
        ({"is_fast": "maybe"}, "expected bool"),
        ({"margin": "nan"}, "option x.margin: expected a finite number; got 'nan'"),
        ({"margin": "-inf"}, "expected a finite number"),
    ],
)
def test_wrong_options_say_which_expected_found(pairs, message):
    with pytest.raises(OptionError, match=message):
        plugins.parse_options(Options, pairs, "x")


def test_split_options_need_an_owner_when_there_are_several():
    assert plugins.split_options(["frames=8"], ["a"]) == {"a": {"frames": "8"}}
    assert plugins.split_options(["b.x=1=2"], ["a", "b"]) == {"a": {}, "b": {"x": "1=2"}}
    with pytest.raises(OptionError, match="say which of a, b"):
        plugins.split_options(["x=1"], ["a", "b"])
    with pytest.raises(OptionError, match="expected name=value"):
        plugins.split_options(["x"], ["a"])
    with pytest.raises(OptionError, match="unknown owner"):
        plugins.split_options(["c.x=1"], ["a"])


def test_a_plugin_in_a_sub_folder_is_known_by_its_file_name_alone():
    files = plugins.plugin_files(plugins.DATASETS)
    assert files["meld"].parts[-2:] == ("dialogue", "meld.py")
    assert "meld" in plugins.available(plugins.DATASETS)
    kind = plugins.load(plugins.DATASETS, "meld", Dataset)
    assert kind.__module__ == "emo.datasets.library.dialogue.meld"
    assert plugins.lend(kind) == "meld"


@pytest.mark.parametrize(
    "package", [v for v in vars(plugins).values() if str(v).startswith("emo.")]
)
def test_no_two_plugins_of_a_package_have_one_name(package):
    folder = Path(emo.__file__).parent.joinpath(*package.split(".")[1:])
    names = [f.stem for f in folder.rglob("*.py") if not f.stem.startswith("_")]
    assert sorted(names) == plugins.available(package)


def test_a_module_without_a_class_gets_the_way_to_name_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_alone.py").write_text("raise SystemExit('was run')\n")
    with pytest.raises(PluginError, match="name its class: mine_alone:CLASS"):
        plugins.load(plugins.BACKBONES, "mine_alone", Backbone)
    for name in ("mine_other", "../mine_alone", "a.b", ""):
        with pytest.raises(PluginError) as told:
            plugins.load(plugins.BACKBONES, name, Backbone)
        assert "name its class" not in str(told.value)
