"""Words of strangers reach the terminal as text: escape sequences are written out, never sent."""

import ast
import json
from pathlib import Path

import pytest

import emo
from emo.machine.table import format_facts, format_table, json_text, shown

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
