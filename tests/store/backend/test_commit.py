"""A part appears whole, once, or not at all, whatever the disk and other writers do."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.writer import part_name
from tests.make_store import RECIPE, audio, dead_pid, owner

RACERS = """
import os, sys, time
from pathlib import Path
import numpy as np
from emo.store import PartWriter, Recipe, StreamSpec
folder, recipe = Path(sys.argv[1]), Recipe("toy", {"a": StreamSpec(4)})
racers = []
for racer in range(4):
    if not (pid := os.fork()):
        wins = []
        for turn in range(12):
            (folder / f"at-{turn}-{racer}").touch()
            while len(list(folder.glob(f"at-{turn}-*"))) < 4:
                pass
            with PartWriter(folder, recipe) as part:
                part.add(f"clip {turn}", {"a": np.full((500, 4), turn)})
            wins.append(str(int(not part.was_second)))
        os.write(1, (" ".join(wins) + chr(10)).encode())
        os._exit(0)
    racers.append(pid)
sys.exit(any(os.waitpid(pid, 0)[1] for pid in racers))
"""


@pytest.mark.skipif(os.name == "nt", reason="processes are forked here; no fork on Windows")
def test_of_four_processes_that_race_for_a_part_one_wins(tmp_path):
    """They start each of twelve parts together."""
    command = [sys.executable, "-c", RACERS, str(tmp_path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wins = np.array([line.split() for line in printed.splitlines()], int)  # (4, 12)
    assert wins.shape == (4, 12)
    np.testing.assert_array_equal(wins.sum(axis=0), np.ones(12))
    parts = [Part(path) for path in tmp_path.glob("part-*")]
    assert len(parts) == 12
    assert all(problems(part) == [] for part in parts)
    assert not list(tmp_path.glob(".*"))


def refuse(code):
    def fail(*_args, **_options):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EINVAL])
def test_without_links_a_lock_and_a_rename_commit(tmp_path, monkeypatch, code):
    monkeypatch.setattr(os, "link", refuse(code))
    for is_second in (False, True):
        with PartWriter(tmp_path, RECIPE) as part:
            part.add("c", audio(1))
        assert part.was_second is is_second
    assert list(tmp_path.iterdir()) == [part.committed]
    assert problems(Part(part.committed)) == []


def test_without_links_the_lock_of_a_dead_owner_does_not_block(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    with PartWriter(tmp_path, RECIPE) as part:
        part.add("c", audio(1))
        lock = tmp_path / f".lock-{part_name(['c'])}"
        lock.write_text(owner(dead_pid()))
    assert part.was_second is False
    assert list(tmp_path.iterdir()) == [part.committed]


def test_without_links_a_living_owner_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    monkeypatch.setattr("emo.store.backend.commit.LOCK_SECONDS", 0.1)
    lock = tmp_path / f".lock-{part_name(['c'])}"
    lock.write_text(owner(os.getpid()))
    with pytest.raises(StoreError, match="is held by"):
        commit_one(tmp_path)
    assert list(tmp_path.iterdir()) == [lock]


def commit_one(folder, length=1) -> PartWriter:
    with PartWriter(folder, RECIPE) as part:
        part.add("c", audio(length))
    return part


def test_a_folder_that_cannot_be_synced_is_no_obstacle(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "folders cannot be synced here")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with PartWriter(tmp_path, RECIPE) as part:
        part.add("c", audio(1))
    assert problems(Part(part.committed)) == []


@pytest.mark.skipif(os.name == "nt", reason="no folder can be synced there")
def test_file_and_then_folder_are_synced_around_the_link(tmp_path, monkeypatch):
    """A crash after the commit must not lose the name, nor keep it without its bytes."""
    real, seen = os.fsync, []

    def fsync(handle):
        is_folder = os.path.isdir(f"/proc/self/fd/{handle}")
        seen.append((is_folder, any(path.name.startswith("part-") for path in tmp_path.iterdir())))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    commit_one(tmp_path)
    assert seen == [(False, False), (True, True)]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_a_failing_disk_is_named_and_nothing_is_left(tmp_path, monkeypatch, code, message):
    monkeypatch.setattr(os, "fsync", refuse(code))
    with pytest.raises(StoreError, match=message):
        commit_one(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no limit on file sizes there")
def test_a_write_that_stops_half_way_leaves_nothing(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, limits[1]))
    try:
        with pytest.raises(StoreError, match="no space left to write"):
            commit_one(tmp_path, 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanished_is_named(tmp_path):
    with pytest.raises(StoreError, match="is not there"):
        commit_one(tmp_path / "gone")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        commit_one(tmp_path)
    tmp_path.chmod(0o700)


def test_the_temporary_file_is_there_until_after_the_link(tmp_path, monkeypatch):
    seen = []
    real = os.link

    def link(source, target):
        seen.append([path.name.startswith(".tmp-") for path in tmp_path.iterdir()])
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    with PartWriter(tmp_path, RECIPE) as part:
        part.add("c", audio(1))
        assert list(tmp_path.iterdir()) == []
    assert seen == [[True]]
    assert list(tmp_path.iterdir()) == [Path(part.committed)]
