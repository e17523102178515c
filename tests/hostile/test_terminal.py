"""Words of strangers reach the terminal as text: escape sequences are written out, never sent."""

import ast
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

import emo
from emo.errors import EmoError, WeightsError
from emo.machine.table import format_facts, format_table, json_text, shown
from emo.store.part.zip import DamagedPart
from emo.store.recipe import Recipe, StreamSpec

HOSTILE = "\x1b]0;owned\x07\x1b[2K\r\x9b1A\u202ejoy\u2028"
CONTROLS = [chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x2028)]
ALLOWED = {
    "format_facts",
    "format_table",
    "fit_lines",
    "json",
    "plugin_table",
    "plugin_text",
    "shown",
}


def sent(text):
    """Characters of an output that a terminal obeys or that reorder a line."""
    return [letter for letter in text if letter in CONTROLS and letter != "\n"]


def test_every_control_character_is_written_out():
    for letter in CONTROLS:
        assert (letter in shown(letter)) == (letter in "\n\t")
        assert letter not in format_table([{"id": letter, letter: "x"}]).replace("\n", "", 1)
    assert shown("a\ud800b") == "a\\ud800b"
    assert shown("喜び, naïve, \u05d0\u05d1, 👩\u200d👧") == "喜び, naïve, \u05d0\u05d1, 👩\u200d👧"
    assert sent(format_facts([(HOSTILE, HOSTILE)], width=60)) == []


def test_json_says_the_same_without_control_characters():
    document = {"id": HOSTILE, "cut": "\ud83d", "letters": "喜び"}
    text = json_text(document, indent=2)
    assert sent(text) == []
    assert json.loads(text) == document
    assert "喜び" in text


@pytest.mark.parametrize("path", sorted(Path(emo.__file__).parent.glob("commands/*.py")), ids=str)
def test_every_print_of_a_command_passes_the_filter(path):
    _check_prints(path)


def test_every_print_of_the_command_passes_the_filter():
    _check_prints(Path(emo.__file__).parent / "cli.py")


def _check_prints(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print" and node.args:
            assert _is_filtered(node.args[0]), f"{path.name}:{node.lineno}: print(shown(…))"


def _is_filtered(node):
    """Return whether a printed expression is plain text of ours or goes through the filter."""
    if isinstance(node, ast.IfExp):
        return _is_filtered(node.body) and _is_filtered(node.orelse)
    if isinstance(node, ast.BinOp):
        return _is_filtered(node.left) and _is_filtered(node.right)
    if isinstance(node, ast.JoinedStr):  # the version of emo is the one thing that may stand raw
        names = {part.value.id for part in node.values if isinstance(part, ast.FormattedValue)}
        return names <= {"__version__"}
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", getattr(node.func, "attr", "")) in ALLOWED
    return isinstance(node, ast.Constant)


LIE = "x\x1b[31m\nemo: all fine"


def test_errors_are_one_line_in_python_too():
    for error in (EmoError(f"recipe {LIE}: bad"), DamagedPart(Path("s/r/part"), LIE)):
        assert sent(str(error)) == []
        assert "x\\x1b[31m\\nemo: all fine" in str(error)
        assert "\n" not in str(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_no_message_is_longer_than_a_page():
    error = EmoError("m.csv: " + 10**6 * "9" + "; say --column")
    assert len(str(error)) <= 4000
    assert str(error).startswith("m.csv: 99")
    assert str(error).endswith("99; say --column")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_further_lines_are_those_of_emo():
    error = WeightsError("openclip: not here", more_lines=[f"looked in {LIE}"])
    assert str(error) == "openclip: not here\n  looked in x\\x1b[31m\\nemo: all fine"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("place", ["options", "facts", "streams"])
def test_a_recipe_of_others_begins_no_line(place):
    ours = Recipe("classic", {"audio": StreamSpec(4)})
    fields = {
        "options": {"options": {LIE: LIE}}, "facts": {"weights": LIE},
        "streams": {"streams": {LIE: StreamSpec(4, level=LIE)}},
    }[place]  # fmt: skip
    lines = ours.differences(replace(ours, **fields))
    assert lines
    assert all(sent(line) == [] and "\n" not in line for line in lines)


def test_names_of_folders_and_parts_begin_no_line(emo, folder, commit):
    commit({"a": "it failed"})
    part = next(folder.path.glob("part-*"))
    part.rename(part.with_name(f"part-{LIE}.zarr.zip"))
    folder.path.rename(folder.path.with_name(f"ev{LIE}"))
    code, out, err = emo("store", "verify", folder.path.parent)
    assert code == 1
    assert sent(out + err) == []
    assert not [line for line in (out + err).splitlines() if line.startswith("emo: all fine")]
    assert "ev" in out


@pytest.fixture
def hostile_table(tmp_path):
    rows = "".join(f'"{HOSTILE}{k}","{HOSTILE}","joy{HOSTILE}",train\n' for k in range(2))
    path = tmp_path / "m.csv"
    path.write_text("id,text,label,split\n" + rows, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["check", "m.csv"],
        ["extract", "m.csv", "--backbone", "classic", "--out", "f", "--dry-run"],
        ["fit-head", "m.csv", "--head", "linear", "--target", HOSTILE],
        ["score", "m.csv", "--gold", "m.csv"],
        ["store", "ls", HOSTILE],
        ["list", "heads", HOSTILE],
        ["manifest", "folder", HOSTILE],
        ["predict", HOSTILE, "m.csv"],
    ],
)
def test_commands_send_no_control_characters(emo, hostile_table, words):
    _, out, err = emo(*words)
    assert sent(out) == []
    assert sent(err) == []
