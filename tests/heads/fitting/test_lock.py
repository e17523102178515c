"""The lock on --out: one fit at a time, and a killed fit blocks no other."""

import dataclasses
import errno
import fcntl
import os
import re
import signal
import socket

import pytest

from emo.errors import FitError
from emo.heads.fitting import lock as module
from emo.heads.fitting import seeds
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.heads.fitting.lock import locked
from tests.heads.conftest import SPLITS
from tests.make_batches import learnable, make_manifest, make_store

SHORT = FitOptions.of(head="mean_pool", epochs=2, threads=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120)
    store = make_store(tmp_path_factory.mktemp("alone") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


def killed_inside(out):
    """Kill a process while it holds the lock of ``out``; return its id."""
    child = os.fork()
    if child == 0:
        with locked(out):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    return child


def test_a_second_fit_stops_at_once_and_the_first_goes_on(made, tmp_path, monkeypatch):
    manifest, store = made
    out, found = tmp_path / "run", []
    real = seeds.train_head

    def meanwhile(*words, **others):
        kept = {file.name for file in (tmp_path / ".run.fit").iterdir()}
        for fit in (fit_head, lambda *w: cross_validate(*w, by="3")):
            with pytest.raises(FitError) as error:
                fit(manifest, [store], out, SHORT)
            found.append(str(error.value))
        assert {file.name for file in (tmp_path / ".run.fit").iterdir()} == kept
        return real(*words, **others)

    monkeypatch.setattr(seeds, "train_head", meanwhile)
    assert fit_head(manifest, [store], out, SHORT).out == out
    assert found == 2 * [
        f"{out}: expected to be the only fit of this --out, found another "
        f"(process {os.getpid()} on {socket.gethostname()}) with its checkpoints in "
        f"{tmp_path / '.run.fit'}. Wait until it ends, or choose another --out."
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == [".test-scorings.jsonl", "run"]


def test_a_killed_fit_is_in_nobodys_way(made, tmp_path):
    manifest, store = made
    killed_inside(tmp_path / "run")
    assert (tmp_path / ".run.lock").exists()
    fit_head(manifest, [store], tmp_path / "run", SHORT)
    assert not (tmp_path / ".run.lock").exists()


def test_the_second_of_a_killed_fit_is_named_not_the_first(tmp_path):
    killed = killed_inside(tmp_path / "run")
    with (
        locked(tmp_path / "run"),
        pytest.raises(FitError, match=f"process {os.getpid()} on ") as error,
        locked(tmp_path / "run"),
    ):
        pass
    assert str(killed) not in re.findall(r"\d+", str(error.value).partition(" on ")[0])


def test_two_runs_and_runs_without_a_folder_do_not_meet(tmp_path):
    with locked(tmp_path / "a"), locked(tmp_path / "b"), locked(None), locked(None):
        assert len([*tmp_path.iterdir()]) == 2
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
def test_without_such_locks_a_fit_goes_on(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        pass
    monkeypatch.setattr(module, "fcntl", None)
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        pass


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    path, real, seen = tmp_path / ".a.lock", fcntl.flock, []

    def late(file, flags):
        if not seen:
            path.unlink()  # its owner ended between our open and our lock
        seen.append(flags)
        real(file, flags)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path / "a"):
        assert path.exists()
        with pytest.raises(FitError, match="only fit"), locked(tmp_path / "a"):
            pass
    assert len(seen) == 3


def test_an_interrupted_search_is_forgotten_only_by_a_search(made, tmp_path):
    manifest, store = made
    journal = tmp_path / ".run.search"
    journal.write_text("")
    fit_head(manifest, [store], tmp_path / "run", SHORT)
    assert journal.exists()
    fit_head(manifest, [store], tmp_path / "run", dataclasses.replace(SHORT, search=1))
    assert not journal.exists()


def test_a_lock_whose_owner_cannot_be_written_holds_and_is_removed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "write", full)
    out = tmp_path / "run"
    with locked(out), pytest.raises(FitError, match="another process"), locked(out):
        pass
    assert list(tmp_path.iterdir()) == []
