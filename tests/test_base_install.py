"""Every command in an environment without extras: it works, or names the extra in one line.

`make wheel` does the same in a real environment of the base install.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from emo.machine.libraries import EXTRAS
from tests.base_install.sitecustomize import HIDDEN
from tests.warm_emo import warm_process

ROOT = Path(__file__).parents[1]
NEEDS_AV = "needs the module 'av', which is not installed here: pip install 'emo-pipeline[extract]'"


WARM = ("emo.cli", "emo.store", "emo.heads.fitting.fit", "emo.predict.file")
"""What a process imports before it forks for a command; more is imported by commands."""


@pytest.fixture(scope="module")
def environment():
    """Variables with which Python finds no library of an extra."""
    hidden = str(ROOT / "tests" / "base_install")
    return {"PYTHONPATH": os.pathsep.join([hidden, str(ROOT)])}


@pytest.fixture(scope="module")
def program(environment):
    """The words that start `emo` without extras; on Linux, in a fork of a warm process."""
    if sys.platform != "linux":
        yield [sys.executable, "-m", "emo"]
        return
    with warm_process(environment, *WARM) as folder:
        yield [str(folder / "emo")]


@pytest.fixture(scope="module")
def base(tmp_path_factory, environment, program):
    """A function that runs `emo` without extras in a folder with clips."""
    folder = tmp_path_factory.mktemp("base")

    def run(*words, code=0):
        done = subprocess.run(
            [*program, *map(str, words)], cwd=folder, env={**os.environ, **environment},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout + done.stderr

    rows = [f"a{k},so happy day {k},joy\nb{k},very sad night {k},sad" for k in range(30)]
    (folder / "t.csv").write_text("id,text,label\n" + "\n".join(rows) + "\n")
    (folder / "x" / "joy").mkdir(parents=True)
    wavfile.write(folder / "x" / "joy" / "c.wav", 16000, np.zeros(16000, np.int16))
    (folder / "m.csv").write_text("id,audio,label\na,x/joy/c.wav,joy\nb,nowhere.wav,sad\n")
    return run


def test_the_hidden_modules_are_those_of_all_extras():
    assert set(EXTRAS) - {"PIL"} <= HIDDEN


def test_texts_go_the_whole_way(base):
    base("extract", "t.csv", "--out", "features")
    base("fit-head", "t.csv", "--stream", "classic/text", "--head", "linear", "--out", "run")
    assert "joy" in base("predict", "run", "--text", "happy day")
    base("predict", "run", "--manifest", "t.csv", "--features", "features", "--out", "p.csv")
    base("predict", "run", "--manifest", "t.csv", "--out", "q.csv")
    assert NEEDS_AV in base("predict", "run", "x/joy/c.wav", code=1)
    base("score", "p.csv", "--gold", "t.csv", "--split", "all")
    base("compare", "run")
    base("store", "pack", "features", "--out", "p.zip")
    base("store", "unpack", "p.zip", "unpacked")
    base("store", "verify", "features")
    base("store", "export", "parquet", "features", "--out", "x.parquet")


def test_a_manifest_is_made_and_checked_without_reading_headers(base):
    base("manifest", "folder", "x", "--out", "made.csv")
    report = base("check", "m.csv", "--fast", code=1)
    assert "nowhere.wav" in report
    assert "headers that were not read" in report
    assert "emo-pipeline[extract]" in report
    assert "--fast" in base("check", "m.csv", code=1)
    base("dataset", "folder", "x", "--out", "made2.csv")


@pytest.mark.parametrize(
    "words",
    [
        ("extract", "m.csv", "--out", "f2"), ("demo",), ("check", "m.csv"),
    ],
)  # fmt: skip
def test_what_decodes_names_the_extra_in_one_line(base, words):
    found = base(*words, code=1)
    assert NEEDS_AV in found
    assert found.count("emo: error") == 1


@pytest.mark.parametrize("name", ["hf", "openclip", "timm", "vggface", "languagebind", "perceiver"])
def test_models_name_the_extra_in_one_line(base, name):
    found = base("extract", "t.csv", "--backbone", name, "--out", "f3", code=1)
    assert found.count("\n") <= 6
    assert "emo-pipeline[extract]" in found or "weights" in found


def test_opensmile_names_its_own_extra(base):
    """Its licence forbids commercial use, so that `extract` does not bring it."""
    found = base("extract", "m.csv", "--backbone", "opensmile", "--out", "f4", code=1)
    assert "pip install 'emo-pipeline[opensmile]'" in found


def test_lists_and_facts_need_no_extra(base):
    for what in ("backbones", "heads"):
        base("list", what)
    base("list", "backbones", "classic")
    base("--help")
