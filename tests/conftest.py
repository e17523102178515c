"""What all tests share: one intra-op thread, and where the real data is, if it is."""

import contextlib
import gc
import os
import sys
import threading
import uuid
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

from emo import plugins
from emo.cli import main
from emo.heads.runs.figures import plots
from emo.store.backend.https import forget_hosts
from tests.warm_emo import warm_process

gc.disable()  # until all tests are collected: half of that time was the search for garbage
LONGEST_FIRST = (  # measured; the first take 25 s of two processors, the last 4 s
    "test_parallel.py", "test_demo.py", "test_docs.py", "test_cross_validate.py",
    "test_base_install.py", "test_executors.py", "test_models.py", "test_heads.py",
    "test_same_bits.py", "test_jobs.py", "test_crash.py", "test_imports.py", "test_words.py",
    "test_notebook.py", "test_site.py",
)  # fmt: skip
OF_WORKERS = (
    "torch",
    "zarr",
    "av",
    "emo.extract.worker.part_worker",
    "emo.extract.worker.open_worker",
)
DRAW, PNG = plots._save, b"\x89PNG\r\n\x1a\n"
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _any_width():
    """Tables are as wide as they like: pytest-xdist sets COLUMNS to 80."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _sketches():
    """Runs get pictures of one byte pattern: all is put in a figure, but drawing takes 0.5 s."""

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plots, "_save", lambda _, path: path.write_bytes(PNG))
        yield


@pytest.fixture
def drawn(monkeypatch):
    """In this test pictures are drawn."""
    monkeypatch.setattr(plots, "_save", DRAW)


@pytest.fixture(autouse=True, scope="session")
def _bars_of_forked_children_are_their_own():
    """tqdm's lock is one semaphore for all forks: a child killed while it holds it blocks us."""
    tqdm.set_lock(threading.RLock())


@pytest.fixture(autouse=True, scope="session")
def _disks_are_not_waited_for():
    """Nothing here loses its power: only the order of writes counts, which tests watch anyway."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _workers_start_warm():
    """Workers of extraction fork from a process with what each would import for a second.

    Commands that tests start as processes of their own have workers that start cold.
    """
    plain = forkserver.set_forkserver_preload

    def preload(names):
        plain([*names, *OF_WORKERS] if "emo.extract.executors.local" in names else names)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(forkserver, "set_forkserver_preload", preload)
        yield


@pytest.fixture(scope="session")
def real_data():
    """The folder of real clips and tables, outside the repository; tests skip without it."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real data is not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def demo_clips(tmp_path_factory):
    """A folder with 24 synthetic clips and ``manifest.csv``, to be read only: 5 s of work.

    The processes of pytest-xdist share it: the first that wants it makes it.
    """
    from emo.datasets.synthetic.dataset import write_dataset

    folder = tmp_path_factory.mktemp("demo-clips")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        write_dataset(folder, clips_per_class_and_speaker=1, workers=1, progress=False)
        return folder
    shared = tmp_path_factory.getbasetemp().parent / "demo-clips"
    if not shared.exists():
        write_dataset(folder, clips_per_class_and_speaker=1, workers=1, progress=False)
        with contextlib.suppress(OSError):  # another process was quicker
            folder.rename(shared)
    return shared


@pytest.fixture(scope="session")
def warm_emo():
    """A folder for ``PATH`` whose `emo` runs in a fork of one warm process: see warm_server.py.

    None where forks of a process with torch are not safe.
    """
    if sys.platform != "linux":
        yield None
        return
    with warm_process({}) as folder:
        yield folder


@pytest.fixture(autouse=True)
def _tests_are_trusted():
    """Classes of these tests may be named by documents; each command begins without trust."""
    plugins.trust(plugins.ANY_CODE)
    yield
    plugins.forget_trust()
    forget_hosts()


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
    """Files that take long start first, so that all processes end together.

    pytest-xdist keeps this order with ``--no-loadscope-reorder`` only.
    """
    names = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: names.get(item.path.name, len(names)))


def pytest_collection_finish():
    """What was imported and collected stays to the end: the garbage collector passes it by."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def _object_server():
    pytest.importorskip("moto", reason="the S3 server is moto's")
    from tests.object_server import ObjectServer  # a second of imports that few tests need

    server = ObjectServer()
    yield server
    server.stop()


@pytest.fixture
def object_server(_object_server, monkeypatch, tmp_path):
    """An S3 server to which the environment points, and an empty cache folder."""
    from emo.store.backend.bucket import forget_connections

    for name, value in _object_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EMO_CACHE", str(tmp_path / "cache"))
    forget_connections()
    yield _object_server
    _object_server.is_deaf, _object_server.conflicts = False, 0
    _object_server.refuses = _object_server.pauses = _object_server.slow = ""
    _object_server.faults = []
    forget_connections()


@pytest.fixture
def bucket(object_server):
    """The URL of a bucket of this test alone."""
    return object_server.make_bucket(f"test-{uuid.uuid4().hex[:12]}")
