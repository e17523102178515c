"""The few faults that every test run makes: six commands in processes of their own."""

import errno

import pytest

from tests.hostile.faults.shim import Fault, Shim

TABLE = "id,text,label,speaker\n" + "".join(f"c{k},x,joy,s{k % 3}\n" for k in range(9))
SPLIT = ["manifest", "split", "m.csv", "--split-by", "speaker", "--val", "s1", "--out", "n.csv"]
SCORE = ["score", "p.csv", "--gold", "m.csv", "--json"]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return Shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m.csv").write_text(TABLE)
    (tmp_path / "p.csv").write_text("id,prediction\n" + "".join(f"c{k},joy\n" for k in range(9)))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def one_line(done, name, reason):
    assert (done.code, len(done.err.splitlines())) == (1, 1), done.err
    assert done.err.startswith("emo: error: ")
    assert name in done.err
    assert reason in done.err


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        ("write", errno.ENOSPC, "No space left on device"),
        ("fsync", errno.EIO, "Input/output error"),
        ("rename", errno.EIO, "Input/output error"),
    ],
)
def test_a_manifest_is_whole_or_absent(shim, folder, kind, error, reason):
    before = sorted(path.name for path in folder.iterdir())
    one_line(shim.run(folder, SPLIT, Fault(kind, 1, error)), "n.csv", reason)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_full_disk_below_the_output_is_told(shim, folder):
    fault = Fault("write", 1, errno.ENOSPC, from_there_on=True)
    done = shim.run(folder, SCORE, fault, out=folder / "scores")
    one_line(done, "standard output", "No space left on device")


def test_what_is_counted_is_what_the_command_does(shim, folder):
    """Else no call would fail anywhere, and all would be well."""
    done = shim.run(folder, SPLIT)
    assert (done.code, done.err) == (0, "")
    assert done.counts == {
        "write": 1, "fsync": 1, "link": 0, "rename": 1, "unlink": 0, "mkdir": 0, "create": 1
    }  # fmt: skip
    again = shim.run(folder, SPLIT)  # the same table again: nothing to write
    assert (again.code, again.counts["write"]) == (0, 0)
