"""`import emo` is typed: mypy --strict accepts a program that uses it, and sees its mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD = """
from pathlib import Path

import numpy as np
import pandas as pd

import emo


def work(frame: pd.DataFrame) -> pd.DataFrame:
    m: emo.Manifest = emo.Manifest.from_frame(frame, root="clips", columns={"label": "Emotion"})
    again: emo.Manifest = emo.read_manifest("m.csv")
    named = emo.backbone("hf", "microsoft/wavlm-base", name="wavlm", layers="mean")
    store: emo.Store = emo.extract_features(m, Path("features"), ["classic", named], workers=1)
    tokens: emo.Tokens = store.read("classic/audio", again)
    one: np.ndarray = tokens["a"]
    run: emo.FittedRun = emo.fit(m, store, head="linear", targets="label", seeds=3, epochs=4)
    try:
        emo.compare([run, "runs/b"])
    except emo.EmoError as error:
        print(error, one.shape)
    return run.scores
"""
BAD = {
    "emo.fit(3)": "arg-type",
    "emo.read_manifst('m.csv')": "attr-defined",
    "emo.Store('x').read('a/b')": "call-arg",
}


def mypy(folder):
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        str(ROOT / "pyproject.toml"),
    ]
    done = subprocess.run(
        [*words, "--cache-dir", str(ROOT / ".mypy_cache"), "good.py", "bad.py"], cwd=folder,
        env={"MYPYPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_program_of_a_user_passes_strict_mypy_and_its_mistakes_do_not(tmp_path):
    pytest.importorskip("mypy")
    bad = "\n".join(BAD)
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(f"import emo\n{bad}\n")
    code, said = mypy(tmp_path)  # one run: each reads what is known of all libraries
    assert code == 1
    wrong = {line.partition(":")[0] for line in said.splitlines() if ": error: " in line}
    assert wrong == {"bad.py"}, said
    for kind in BAD.values():
        assert f"[{kind}]" in said, said
