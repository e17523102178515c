"""What appears whole leaves nothing behind for good, not even when its process is killed."""

import os
import signal

import pytest

from emo.heads.runs.write import run_folder
from emo.store.backend.atomic import appearing, temporary_beside
from emo.store.backend.process_identity import host


def killed_inside(block, out):
    """A process that is killed while it writes ``out``; what it left."""
    child = os.fork()
    if child == 0:
        with block(out) as path:
            path.parent.joinpath("half").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    return [file for file in out.parent.iterdir() if file.name.startswith(".tmp-")]


def test_the_next_export_removes_what_a_killed_one_left(tmp_path):
    (left,) = killed_inside(appearing, tmp_path / "all.npz")
    (of_another,) = {*killed_inside(appearing, tmp_path / "other.npz")} - {left}
    with appearing(tmp_path / "all.npz") as path:
        assert not left.exists()
        path.write_text("whole")
    assert {file.name for file in tmp_path.iterdir()} == {"all.npz", of_another.name}


def test_so_does_the_next_fit_of_a_run(tmp_path):
    (left,) = killed_inside(run_folder, tmp_path / "run")
    with run_folder(tmp_path / "run"):
        assert not left.exists()
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == ["run"]


@pytest.mark.parametrize(
    "name",
    [
        "x-{host}-{alive}-abcdefgh",  # at work
        "x-elsewhere-{dead}-abcdefgh",
        "x-{host}-{dead}-1-abcdefgh",  # of x-{host} on a machine whose name is a number
        "x-abcdefgh",  # of before the owner was named
        "xy-{host}-{dead}-abcdefgh",
    ],
)
def test_what_may_be_anothers_stays(tmp_path, name):
    dead = killed_inside(appearing, tmp_path / "y")[0].name.split("-")[-2]
    words = {"host": host(), "alive": os.getpid(), "dead": dead}
    kept = tmp_path / f".tmp-{name.format(**words)}"
    kept.mkdir()
    ours = temporary_beside(tmp_path / "x")
    assert kept.exists()
    assert temporary_beside(tmp_path / "x") != ours
    assert ours.exists()
