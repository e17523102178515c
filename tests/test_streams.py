"""Consoles with few characters: no command ends because one cannot be printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emo.machine.streams import PLAIN

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "ascii", "shift_jis"])
def test_what_a_console_lacks_is_printed_in_another_way(encoding, tmp_path):
    rows = "".join(f"c{k},joy Σ 喜び − → 😀 {k},{'joy' if k % 2 else '喜'}\n" for k in range(6))
    (tmp_path / "m.csv").write_text("id,text,label\n" + rows, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONUTF8", None)
    code = (
        "import sys, emo.cli\n"
        "for words in (['check', 'm.csv', '--fast'], ['list', 'metrics'], ['list', 'heads']):\n"
        "    sys.argv = ['emo', *words]\n"
        "    try: emo.cli.main()\n"
        "    except SystemExit: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True,
        check=False,
    )  # fmt: skip
    text = done.stdout.decode(encoding) + done.stderr.decode(encoding)
    assert done.returncode == 0, text
    assert "Traceback" not in text
    assert "UnicodeEncodeError" not in text
    assert "6 clips" in text


def test_plain_words_are_ascii():
    assert all(word.isascii() and word for word in PLAIN.values())
