"""How torch's threads wait is chosen by command and by who else is at work."""

import os
import subprocess
import sys

import pytest

from emo.machine.processor import others_run


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
        "import os, sys; from emo import cli; from emo.machine import processor\n"
        f"sys.argv = ['emo', '{command}', '--help']\n"
        f"processor.others_run = lambda: {others}\n"
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
