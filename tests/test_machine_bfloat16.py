"""Tests of emo/heads/processor.py, and of what the commands make of the machine."""

import pytest

from emo.machine.processor import lacks_bfloat16


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("model name\t: A\nflags\t\t: fpu avx2 fma\n", True),
        ("flags\t\t: fpu avx512f avx512_bf16\n", False),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", False),
        ("Features\t: fp asimd bf16 i8mm\n", False),
        ("Features\t: fp asimd\n", True),
        ("model name : bf16\n", False),  # says nothing about instructions
    ],
)
def test_bfloat16_is_known_to_lack_only_where_flags_say_so(tmp_path, text, lacks):
    (tmp_path / "cpuinfo").write_text(text)
    assert lacks_bfloat16(tmp_path / "cpuinfo") == lacks


def test_where_nothing_is_told_nothing_is_said(tmp_path):
    assert not lacks_bfloat16(tmp_path / "none")


def test_bf16_that_only_costs_is_warned_about(emo):
    _, _, err = emo("fit-head", "none.csv", "--bf16")
    assert ("bfloat16" in err) == lacks_bfloat16()
    _, _, err = emo("fit-head", "none.csv")
    assert "bfloat16" not in err
