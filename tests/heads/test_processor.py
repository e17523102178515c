"""Tests of emo/heads/processor.py, and of what the commands make of the machine."""

import os
import subprocess
import sys

import pytest

from emo.heads.processor import lacks_bfloat16, others_run


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
    ("command", "others", "given", "found"),
    [
        ("--version", False, {}, "3000"),
        ("fit-head", True, {}, "3000"),
        ("fit-head", False, {}, "None"),
        ("--version", False, {"GOMP_SPINCOUNT": "7"}, "7"),
        ("--version", False, {"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_threads_soon_wait_asleep_where_others_work(command, others, given, found):
    """Threads that spin long cost many times the work when others use the machine."""
    ours = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    environment = {k: v for k, v in os.environ.items() if k not in ours} | given
    code = (
        f"import os, sys; from emo import cli; sys.argv = ['emo', '{command}', '--help']\n"
        f"cli.others_run = lambda: {others}\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-2:] == [found, "False"]


@pytest.mark.parametrize(
    ("text", "are_there"),
    [("0.0 0.1 0.2 1/94 162", False), ("0.0 0.1 0.2 3/94 162", True), ("?", False), (None, False)],
)
def test_others_that_run_are_counted_where_the_system_tells(tmp_path, text, are_there):
    if text is not None:
        (tmp_path / "loadavg").write_text(text)
    assert others_run(tmp_path / "loadavg") == are_there


def test_bf16_that_only_costs_is_warned_about(emo):
    _, _, err = emo("fit-head", "none.csv", "--bf16")
    assert ("bfloat16" in err) == lacks_bfloat16()
    _, _, err = emo("fit-head", "none.csv")
    assert "bfloat16" not in err
