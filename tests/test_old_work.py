"""A store, a job that is half done and a pack of emo 0.1.0 are read, or refused with what to do."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import emo as emo_package
from emo.store import Store

GOLDEN = Path(__file__).parent / "golden_0_1"
VERSIONS = (
    f"are of classic version 1, and emo {emo_package.__version__} has version 2, which may make "
    "other numbers"
)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A copy of the golden folder, with the job where its store looks for it."""
    folder = Path(shutil.copytree(GOLDEN, tmp_path / "work"))
    (folder / "features" / "jobs").rename(folder / "features" / ".jobs")
    job = folder / "features" / ".jobs" / "0001"
    (job / "journal").mkdir()
    (job / "job.json").write_text((job / "job.json").read_text().replace("ROOT", str(folder)))
    monkeypatch.chdir(folder)
    return folder


def test_a_pack_is_unpacked(emo, work):
    code, _, err = emo("store", "unpack", "pack.zip", "there")
    assert (code, err) == (0, "")
    made, stored = Store(work / "there" / "features"), Store(work / "features")
    assert made.recipes["classic"].recipe == stored.recipes["classic"].recipe
    tokens, expected = (each.read("classic/text", ["b", "a"]) for each in (made, stored))
    np.testing.assert_array_equal(tokens.values, expected.values)
    assert "so glad" in (work / "there" / "manifest.csv").read_text()


def test_the_status_of_a_job_is_shown(emo, work):
    code, out, err = emo("job", "status", "features")
    assert (code, err) == (0, "")
    assert "4: 2 done (0 of them failed), 2 to do" in out


@pytest.mark.parametrize("call", ["job resume features --executor local", "job work features"])
def test_a_job_is_not_finished_with_other_numbers(emo, work, call):
    code, _, err = emo(*call.split())
    assert code == 1
    assert "recipe 'classic': the job was planned by emo 0.1.0 for tokens of classic" in err
    assert (
        "Do the rest with that emo, or extract the clips again with `emo extract` and --as" in err
    )
    assert len(Store(work / "features").ids("classic")) == 2


def test_a_store_is_not_extended_with_other_numbers(emo, work):
    call = ("extract", "m.csv", "--backbone", "classic", "-o", "text_width=64", "--out", "features")
    for more in ((), ("--dry-run",)):
        code, _, err = emo(*call, *more)
        assert (code, err.count("\n")) == (1, 1)
        assert f"features/classic was made by emo 0.1.0: its tokens {VERSIONS}. Add --as" in err
        assert "or go on with emo 0.1.0" in err
    assert emo(*call[:-3], "text_width=32", "--out", "features")[0] == 1
    code, _, err = emo(*call, "--as", "classic2")
    assert (code, err) == (0, "")
    assert len(Store(work / "features").ids("classic2")) == 4
    code, out, _ = emo("show", "features/classic")
    assert (code, "version 1; this emo has a newer one, which may" in " ".join(out.split())) == (
        0,
        True,
    )
