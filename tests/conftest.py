"""What all tests share: one intra-op thread, and where the real data is, if it is."""

import sys
import threading
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

from emo.cli import main

LONGEST_FIRST = ("test_docs.py", "test_run.py", "test_cli_weights.py", "test_hf.py")
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _bars_of_forked_children_are_their_own():
    """tqdm's lock is one semaphore for all forks: a child killed while it holds it blocks us."""
    tqdm.set_lock(threading.RLock())


@pytest.fixture(scope="session")
def real_data():
    """The folder of real clips and tables, outside the repository; tests skip without it."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real data is not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def emo(monkeypatch, tmp_path, capsys):
    """Run the command in a scratch folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["emo", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def pytest_collection_modifyitems(items):
    """Files that take a minute start first, so that two processes end together."""
    names = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: names.get(item.path.name, len(names)))
