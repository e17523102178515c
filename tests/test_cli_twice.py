"""Inputs given twice are joined or refused, and no run is replaced without a word."""

import pytest
import typer

from emo.cli import app
from emo.commands.flags.sections import INPUTS
from emo.manifest import read_manifest
from emo.store import PartWriter, Recipe, Store, StreamSpec
from tests import test_cli
from tests.test_cli import LETTERS

manifest = test_cli.manifest

FIRST = {("submit",): "semeval2024", ("plot",): "curves"}
"""What commands get as their arguments; others get x."""
SCALARS = {
    None, "MODE", "N", "DEVICE", "ROWS", "ADDRESS", "NUMBER", "LIMIT", "FEATURES", "SHARE", "RATE",
    "CURVE", "ALPHA", "SPLIT", "HOW", "TASK", "GIB", "SIZE", "SCORE", "LOSS",
}  # fmt: skip
"""Metavars of options that are numbers or choices: the last one counts."""


def walk(command, words=()):
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from walk(below, (*words, name))


OPTIONS = [
    pytest.param(words, command, option, id=" ".join((*words, option.opts[0])))
    for words, command in walk(typer.main.get_command(app))
    if not hasattr(command, "commands")
    for option in command.params
    if option.param_type_name == "option" and not option.multiple and not option.is_flag
]


@pytest.mark.parametrize(("words", "command", "option"), OPTIONS)
def test_each_option_that_names_an_input_is_refused_twice(emo, words, command, option):
    assert option.metavar in SCALARS | set(INPUTS)
    arguments = [p for p in command.params if p.param_type_name == "argument" and p.required]
    needed = [p for p in command.params if p.param_type_name == "option" and p.required]
    typed = [*words, *([FIRST.get(words, "x")] * len(arguments))]
    for each in [*needed, option, option]:
        typed += [each.opts[0], *["1"] * each.nargs]
    if option.metavar not in INPUTS:
        return
    code, out, err = emo(*typed)
    assert (code, out) == (2, "")
    assert f"{option.opts[0]} is given" in " ".join(err.replace("│", " ").split())


def test_of_numbers_the_last_one_counts(emo, tmp_path):
    (tmp_path / "m.csv").write_text("id,text,label\na,x,joy\n")
    code, _, err = emo("check", "m.csv", "--workers", 1, "--workers", 2)
    assert "is given" not in err
    assert code in {0, 1}


def make_store(path, **recipes):
    for name, width in recipes.items():
        recipe = Recipe(name, {name: StreamSpec(width, "float32")})
        with PartWriter(Store.create(path).add_recipe(name, recipe).path, recipe) as part:
            for clip in ("a", "b"):
                part.add(clip, {name: [[1.0] * width]})


def test_a_pack_holds_several_recipes(emo, tmp_path):
    make_store(tmp_path / "features", one=2, two=3, three=4)
    words = ("store", "pack", "features", "--recipe", "one", "--recipe", "two", "--out", "p.zip")
    code, out, err = emo(*words)
    assert code == 0, err
    assert "2 clips in 4 files" in out
    assert emo("store", "unpack", "p.zip", "there")[0] == 0
    found = Store(tmp_path / "there" / "features")
    assert sorted(found.recipes) == ["one", "two"]
    assert found.read("two/two").values.shape == (2, 3)
    code, _, err = emo(*words[:7], "--stream", "two", "--out", "q.zip")
    assert (code, "has none of the streams two" in err) == (1, True)


def test_predict_reads_each_stream_from_the_store_that_has_it(emo, manifest, tmp_path):
    emo("extract", "--backbone", LETTERS)
    emo("extract", "--backbone", LETTERS, "--as", "more", "--out", "others")
    joined = ("--features", "features", "--features", "others")
    code, _, err = emo("fit-head", *joined, "--head", "linear", "--out", "run")
    assert code == 0, err
    code, _, err = emo("predict", "run", "--manifest", manifest, *joined)
    assert code == 0, err
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(lines) == 1 + len(read_manifest(manifest).clips)
    code, _, err = emo("predict", "run", "--manifest", manifest, "--features", "features")
    assert (code, "no recipe 'more'" in err) == (1, True)
    code, _, err = emo("predict", "run", "--manifest", manifest, *joined, "--features", "features")
    assert (code, "is in" in err) == (1, True)


def test_a_run_is_replaced_only_with_overwrite(emo, manifest, tmp_path):
    emo("extract", "--backbone", LETTERS)
    words = ("fit-head", "--head", "linear")
    assert emo(*words, "--out", "run")[0] == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    for more in ((), ("--resume",), ("--cv", "4")):
        code, out, err = emo(*words, "--out", "run", *more)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "run holds a run; --overwrite replaces it" in err
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    (tmp_path / "run" / "notes").mkdir()
    for mine in ("notes/a.txt", "paper.csv", "predictions-mine.csv"):
        (tmp_path / "run" / mine).write_text("mine")
    assert emo(*words, "--out", "run", "--seeds", 2, "--overwrite")[0] == 0
    for mine in ("notes/a.txt", "paper.csv", "predictions-mine.csv"):
        assert (tmp_path / "run" / mine).read_text() == "mine"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".old-")]
    assert (tmp_path / "run" / "run.json").read_bytes() != before


def test_without_out_each_run_has_a_new_number(emo, manifest, tmp_path):
    emo("extract", "--backbone", LETTERS)
    for number in ("0001", "0002"):
        code, out, err = emo("fit-head", "--head", "linear")
        assert code == 0, err
        assert f"run written to runs/{number}" in out
    (tmp_path / "runs" / "0041").mkdir()
    assert "runs/0042" in emo("fit-head", "--head", "linear")[1]
