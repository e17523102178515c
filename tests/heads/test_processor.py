"""Tests of emo/heads/processor.py, and of what the commands make of the machine."""

import os
import subprocess
import sys

import pytest

from emo.heads.processor import lacks_bfloat16


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


@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_the_commands_threads_soon_wait_asleep_unless_told_otherwise(given, found):
    """Threads that spin long cost many times the work when others use the machine."""
    ours = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    environment = {k: v for k, v in os.environ.items() if k not in ours} | given
    code = (
        "import os, sys; from emo import cli; sys.argv = ['emo', '--version']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-2:] == [found, "False"]


def test_bf16_that_only_costs_is_warned_about(emo):
    _, _, err = emo("fit-head", "none.csv", "--bf16")
    assert ("bfloat16" in err) == lacks_bfloat16()
    _, _, err = emo("fit-head", "none.csv")
    assert "bfloat16" not in err
