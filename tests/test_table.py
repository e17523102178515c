"""Tests of emo/machine/table.py: what lines up, and what is folded where the terminal is narrow."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emo.machine.table import (
    _width,
    fit_lines,
    format_bytes,
    format_facts,
    format_table,
    output_width,
)

WORD = st.text("abcdeß喜-/", min_size=1, max_size=12)
CELL = st.one_of(st.lists(WORD, max_size=8).map(" ".join), st.integers(0, 10**6), st.floats(0, 1),
                 st.none())  # fmt: skip


def test_numbers_line_up_to_the_right_and_words_to_the_left():
    rows = [{"stream": "a", "clips": 1234, "f1": 0.5}, {"stream": "bcd", "clips": 5, "f1": None}]
    assert format_table(rows).splitlines() == [
        "stream  clips     f1",
        "a       1,234  0.500",
        "bcd         5      –",
    ]


def test_no_rows_are_no_lines():
    assert format_table([]) == ""


def test_bytes_have_a_unit_people_read():
    assert [format_bytes(size) for size in (7, 12_345, 2.5e12)] == ["7 B", "12.3 kB", "2.5 TB"]


def test_words_are_folded_in_the_widest_columns_first():
    rows = [{"name": "linear", "clips": 7, "what it is": "logistic regression on the mean tokens"}]
    assert format_table(rows, width=40).splitlines() == [
        "name    clips  what it is",
        "linear      7  logistic regression on",
        "               the mean tokens",
    ]


def test_a_heading_of_several_words_is_folded_too():
    rows = [{"stage": "decode", "clips that wait before it": 3, "note": "x" * 20}]
    lines = format_table(rows, width=40).splitlines()
    assert lines[0].split() == ["stage", "clips", "that", "note"]
    assert [line.split() for line in lines[1:3]] == [["wait"], ["before", "it"]]
    assert lines[3].split() == ["decode", "3", "x" * 20]


def test_a_table_of_many_columns_is_cut_and_repeats_its_keys():
    rows = [{"run": "a", "seed": 0, **{f"score {k}": "0.123 ± 0.456" for k in range(4)}}]
    first, second = format_table(rows, keys=2, width=50).split("\n\n")
    assert first.splitlines()[0].split() == ["run", "seed", "score", "0", "score", "1"]
    assert second.splitlines()[0].split() == ["run", "seed", "score", "2", "score", "3"]
    assert second.splitlines()[1].split()[:2] == ["a", "0"]


def test_a_number_and_its_spread_stay_in_one_line():
    rows = [{"run": "with a rather long name", "F1": "0.123 ± 0.456", "UAR": "0.1 – 0.2"}]
    assert "0.123 ± 0.456  0.1 – 0.2" in format_table(rows, width=40)


def test_a_word_that_is_too_long_is_cut_after_a_mark():
    rows = [{"name": "x", "path": "letters-of-the-first/letters-of-the-second", "n": 1}]
    lines = format_table(rows, width=40).splitlines()
    assert lines[1].split() == ["x", "letters-of-the-first/letters-", "1"]
    assert lines[2].split() == ["of-the-second"]


@given(st.lists(st.fixed_dictionaries({"key": WORD, "a": CELL, "b": CELL, "c": CELL}), min_size=1),
       st.integers(40, 120))  # fmt: skip
def test_a_table_is_never_wider_than_asked_and_loses_nothing(rows, width):
    text = format_table(rows, width=width)
    assert max(map(_width, text.splitlines())) <= width
    wide = format_table(rows, width=10_000)
    for letter in "abcdeß喜":
        assert text.count(letter) >= wide.count(letter)  # keys may be repeated


@given(st.lists(WORD), st.integers(40, 80))
def test_lines_are_folded_at_spaces_and_lose_nothing(words, width):
    text = " ".join(words)
    folded = fit_lines(text, width=width)
    assert folded.split() == text.split()
    assert max(map(_width, folded.splitlines()), default=0) <= width
    if _width(text) <= width:
        assert folded == text


def test_folded_lines_are_indented_and_a_list_hangs():
    text = "clips:\n  - " + "word " * 10 + "\n" + "x" * 50
    assert fit_lines(text, width=40).splitlines() == [
        "clips:",
        "  - " + " ".join(["word"] * 7),
        "    word word word",
        "x" * 50,  # a path stays whole, to be copied
    ]


def test_facts_are_two_columns():
    facts = [("source", "a paper of very many words and more"), ("licence", "MIT")]
    assert format_facts(facts, indent="  ", width=40).splitlines() == [
        "  source   a paper of very many words",
        "           and more",
        "  licence  MIT",
    ]


class Terminal:
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("columns", "out", "width"),
    [("80", None, 80), ("10", None, 40), ("", None, None), ("x", None, None), ("0", None, None),
     ("100", Terminal(), 100), ("", Terminal(), 80)],
)  # fmt: skip
def test_columns_counts_then_the_terminal_and_a_pipe_has_no_limit(monkeypatch, columns, out, width):
    monkeypatch.setenv("COLUMNS", columns)
    if out is not None:
        monkeypatch.setattr(sys, "stdout", out)
    assert output_width() == width


def test_a_pipe_gets_whole_rows(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert format_table([{"a": "word " * 40, "b": "word " * 40}]).count("\n") == 1
    assert fit_lines("word " * 40) == "word " * 40
