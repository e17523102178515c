"""Tests of emo/table.py."""

from emo.table import format_bytes, format_table


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
