"""Bounds of memory and time for every attack; a store with one recipe and a run to attack."""

import resource
import shutil
import signal

import pytest

from tests.make_batches import learnable, make_store
from tests.store.conftest import commit, folder, store

__all__ = ["commit", "folder", "store"]

MOST_BYTES = 2 << 30
"""Memory that an attack may take beyond what the test process holds already."""
MOST_SECONDS = 20
"""Processor time that an attack may take."""


@pytest.fixture(autouse=True)
def _bounds(request):
    """Let a test fail that takes more than 2 GiB of memory, or 20 s of the processor.

    Children inherit the limit of memory; tests marked ``hostile`` do many attacks each.
    """
    if request.node.get_closest_marker("hostile"):
        yield
        return
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[5]) * resource.getpagesize()  # data and stacks
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + MOST_BYTES, before[1]))

    def stop(number, frame):
        raise TimeoutError(f"more than {MOST_SECONDS} s of the processor")

    handler = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.fixture
def run(emo, tmp_path, tmp_path_factory):
    """A run of a linear head, with its manifest m.csv and its store s in the current folder.

    It is fitted once; later tests get copies, whose run names the folder of the first.
    """
    kept = tmp_path_factory.getbasetemp() / "linear-run"
    if kept.exists():
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        return tmp_path / "run"
    labels, tokens = learnable(30)
    make_store(tmp_path / "s", tokens)
    rows = "".join(f"c{row},x,{label}\n" for row, label in enumerate(labels))
    (tmp_path / "m.csv").write_text("id,text,label\n" + rows)
    quick = ("--head", "linear", "-o", "penalties=3")
    code, _, err = emo("fit-head", "m.csv", "--features", "s", *quick, "--out", "run")
    assert code == 0, err
    shutil.copytree(tmp_path, kept)
    return tmp_path / "run"
