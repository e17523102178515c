"""Containers of one machine share its name and reuse process ids: none takes another for dead."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from emo.extract.job.journal import is_at_work, log_name
from emo.store.backend.commit import LEASE_SECONDS, is_abandoned
from emo.store.backend.process_identity import host, is_process_alive, this_process
from emo.store.maintain.verify import verify
from emo.store.store import Store

LETTERS = "tests.make_backbone:Letters"
UNSHARE = [["unshare", "--pid", "--fork"], ["unshare", "--pid", "--fork", "--mount-proc"]]


def can_unshare():
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*UNSHARE[1], "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(
    not can_unshare(), reason="this user may not make namespaces of process ids (unshare --pid)"
)


def asked(code, how):
    """Run Python code in another namespace of process ids; return what it printed."""
    command = [*how, sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_is_named_by_its_id_and_its_start():
    assert is_process_alive(this_process())
    pid, _, start = this_process().partition(".")
    assert pid == str(os.getpid())
    if start:
        assert not is_process_alive(f"{pid}.{int(start) - 1}")  # the id was used again
    assert not is_process_alive(f"{2**22 + 1}.5")
    assert not is_process_alive("9" * 30)


@needs_namespaces
@pytest.mark.parametrize("how", UNSHARE, ids=["their /proc", "its own /proc"])
def test_a_file_of_another_namespace_is_left_alone_for_its_lease(tmp_path, how):
    """Process ids of this namespace do not exist in the other one."""
    temporary = tmp_path / f".tmp-{host()}-{this_process()}-abcdef12"
    lock = tmp_path / ".lock-a.part"
    temporary.touch()
    lock.write_text(f"{host()}-{this_process()}-abcdef12")
    code = (
        "from pathlib import Path; from emo.store.backend.commit import is_abandoned;"
        f"print([is_abandoned(Path(p)) for p in ({str(temporary)!r}, {str(lock)!r})])"
    )
    assert asked(code, how) == "[False, False]"
    then = time.time() - LEASE_SECONDS - 1
    os.utime(lock, (then, then))
    assert asked(code, how) == "[False, True]"
    assert not is_abandoned(lock)  # here its process is known to run


@needs_namespaces
@pytest.mark.parametrize("how", UNSHARE, ids=["their /proc", "its own /proc"])
def test_a_worker_of_another_namespace_lives_as_long_as_its_log_is_renewed(tmp_path, how):
    by = asked("from emo.extract.job.journal import me; print(me())", how)
    assert by.split("/")[0] != host()
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / log_name(by)
    log.touch()
    assert is_at_work(tmp_path / "logs", by)
    then = time.time() - LEASE_SECONDS - 1
    os.utime(log, (then, then))
    assert not is_at_work(tmp_path / "logs", by)


@needs_namespaces
def test_two_namespaces_extract_into_one_store_and_one_is_killed(tmp_path):
    rows = "".join(f"c{k:02},some words !sleep {k}\n" for k in range(24))
    (tmp_path / "m.csv").write_text("id,text\n" + rows)
    words = ["extract", "m.csv", "--backbone", LETTERS, "--out", "f", "--part-clips", "2"]

    def start(how):
        return subprocess.Popen(
            [*how, "--kill-child", sys.executable, "-m", "emo", *words, "--workers", "1"],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    first, second = start(UNSHARE[1]), start(UNSHARE[0])
    waited = time.monotonic() + 30
    while not list(tmp_path.glob("f/**/.tmp-*")) and time.monotonic() < waited:
        time.sleep(0.002)
    first.send_signal(signal.SIGKILL)
    second.wait(timeout=60)
    first.wait(timeout=10)
    assert start(UNSHARE[1]).wait(timeout=60) == 0
    store = Store(tmp_path / "f")
    (name,) = store.recipes
    assert sorted(store.ids(name)) == [f"c{k:02}" for k in range(24)]
    assert not verify(store, progress=False).problems
