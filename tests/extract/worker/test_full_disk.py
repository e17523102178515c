"""A disk that fills up in mid-run: one clear line, nothing torn, and with more room it is ended."""

import errno
import os

import pytest

from tests.extract.letters_job import (
    CLIPS,
    check_whole,
    hashes,
    hashes_undisturbed,
    words,
    write_manifest,
)
from tests.forked import emo_command, forked
from tests.mounts import mount, small_disk

PAGE_BYTES = 4096
PART_PAGES = 9
"""About what one part takes."""
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="commands are forked here; no fork on Windows"
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_manifest(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def expected(manifest, tmp_path_factory):
    return hashes_undisturbed(manifest, tmp_path_factory.mktemp("whole"))


def fill(folder, pages):
    """Leave ``pages`` free pages on the disk."""
    with (folder / "filler").open("wb") as file:
        free = os.statvfs(folder).f_bfree
        os.posix_fallocate(file.fileno(), 0, (free - pages) * PAGE_BYTES)


@pytest.mark.parametrize("pages", [*range(9), 2 * PART_PAGES, 5 * PART_PAGES])
def test_whatever_meets_the_full_disk_says_so_and_more_room_ends_the_job(
    manifest, expected, tmp_path, pages
):
    """Recipe, plan, log, journal and part: each is once the file for which there is no page."""
    printed = tmp_path / "printed"
    with small_disk(tmp_path / "disk", 2**20) as disk:
        store = disk / "features"
        fill(disk, pages)
        assert forked(emo_command(printed, *words(manifest, store))).end() == 1
        (line,) = printed.read_text().splitlines()
        assert line.startswith(f"emo: error: {store}")
        assert "no space left to write" in line
        there = hashes(store)
        assert there == {clip_id: expected[clip_id] for clip_id in there}
        assert bool(there) is (pages >= 2 * PART_PAGES)
        assert not list(store.glob("*/.tmp-*"))
        (disk / "filler").unlink()
        assert forked(emo_command(printed, *words(manifest, store))).end() == 0
        assert f"did {CLIPS - len(there)} of" in printed.read_text()
        check_whole(store, expected)


def test_a_larger_disk_instead_of_a_deleted_file_does_it_too(manifest, expected, tmp_path):
    printed = tmp_path / "printed"
    with small_disk(tmp_path / "disk", 3 * PART_PAGES * PAGE_BYTES) as disk:
        assert forked(emo_command(printed, *words(manifest, disk / "features"))).end() == 1
        assert 0 < len(hashes(disk / "features")) < CLIPS
        assert forked(emo_command(printed, *words(manifest, disk / "features"))).end() == 1
        mount("-o", "remount,size=1m", disk)
        assert forked(emo_command(printed, *words(manifest, disk / "features"))).end() == 0
        check_whole(disk / "features", expected)


@pytest.mark.crash
def test_of_two_worker_processes_the_one_that_meets_it_is_heard(manifest, expected, tmp_path):
    printed = tmp_path / "printed"
    with small_disk(tmp_path / "disk", 3 * PART_PAGES * PAGE_BYTES) as disk:
        command = [*words(manifest, disk / "features"), "--workers", 2]
        assert forked(emo_command(printed, *command)).end() == 1
        assert "no space left to write" in printed.read_text().splitlines()[-1]
        mount("-o", "remount,size=1m", disk)
        assert forked(emo_command(printed, *command)).end() == 0
        check_whole(disk / "features", expected)


def test_a_quota_is_a_full_disk(emo, manifest, expected, tmp_path, monkeypatch):
    """Network file systems tell it by fsync."""
    left, real = iter(range(6)), os.fsync

    def fsync(handle):
        if next(left, None) is None:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        code, _, err = emo(*words(manifest, "features"))
    assert (code, "no space left to write" in err) == (1, True)
    there = hashes(tmp_path / "features")
    assert 0 < len(there) < CLIPS
    assert emo(*words(manifest, "features"))[0] == 0
    check_whole(tmp_path / "features", expected)
