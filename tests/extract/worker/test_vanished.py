"""A mount that turns read-only or vanishes in mid-run: one clear line, and with it back it ends."""

import os

import pytest

from tests.extract.letters_job import check_whole, hashes, hashes_undisturbed, words, write_manifest
from tests.forked import Phase, emo_command, forked
from tests.mounts import bound, mount, needs_mounts, unmount

ENCODE = Phase("encode", "emo.extract.worker.encode:encode_batch")
PHASES = (
    Phase("plan", "emo.extract.job.folder:write_lines"),
    Phase("decode", "emo.extract.worker.decoding.prepare:load_segments"),
    ENCODE,
    Phase("write", "emo.store.part.writer:write_members", "half way"),
    Phase("link", "os:link"),
    Phase("unlink", "os:link", "after"),
    Phase("journal", "emo.extract.job.journal:Journal.end"),
)
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="commands are forked here; no fork on Windows"
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_manifest(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def expected(manifest, tmp_path_factory):
    needs_mounts()
    return hashes_undisturbed(manifest, tmp_path_factory.mktemp("whole"))


def end_in_one_line(child, printed):
    assert child.end() == 1
    (line,) = printed.read_text().splitlines()
    assert line.startswith("emo: error: ")
    return line


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_a_mount_that_vanishes_costs_at_most_the_part_in_hand(manifest, expected, tmp_path, phase):
    disk, seen, printed = tmp_path / "disk", tmp_path / "seen", tmp_path / "printed"
    disk.mkdir()
    command = emo_command(printed, *words(manifest, seen / "features"))
    is_plan = phase.name == "plan"
    nth = {"plan": 1, "decode": 6}.get(phase.name, 4)  # a part is decoded ahead of the one in hand
    with bound(disk, seen):
        child = forked(command, phase, nth)
        assert child.waits()
        before = hashes(disk / "features")
        assert before or is_plan
        unmount(seen)
        child.go_on()
        line = end_in_one_line(child, printed)
    assert str(seen / "features") in line
    assert list(seen.iterdir()) == []  # nothing was written below the mount point
    after = hashes(disk / "features")
    assert before.items() <= after.items()
    assert phase.name == "decode" or after == before  # while one part is decoded another commits
    with bound(disk, seen):
        assert forked(command).end() == 0
        check_whole(seen / "features", expected)


def test_a_recipe_that_turns_read_only_costs_at_most_the_part_in_hand(manifest, expected, tmp_path):
    printed, store = tmp_path / "printed", tmp_path / "features"
    command = emo_command(printed, *words(manifest, store))
    first = forked(command, ENCODE)
    assert first.waits()
    first.kill()  # the recipe's folder is made
    with bound(store / "letters", store / "letters"):
        child = forked(command, ENCODE, 3)
        assert child.waits()
        before = hashes(store)
        mount("-o", "remount,bind,ro", store / "letters")
        child.go_on()
        line = end_in_one_line(child, printed)
        assert f"{store}/letters cannot be written (Read-only file system)" in line
        assert hashes(store) == before
        mount("-o", "remount,bind,rw", store / "letters")
        assert forked(command).end() == 0
        check_whole(store, expected)


def test_a_store_on_a_read_only_mount_is_refused_before_anything_runs(manifest, expected, tmp_path):
    disk, seen, printed = tmp_path / "disk", tmp_path / "seen", tmp_path / "printed"
    disk.mkdir()
    command = emo_command(printed, *words(manifest, seen / "features"))
    with bound(disk, seen):
        mount("-o", "remount,bind,ro", seen)
        line = end_in_one_line(forked(command), printed)
        assert f"{seen}/features cannot be made a store: Read-only file system" in line
        mount("-o", "remount,bind,rw", seen)
        child = forked(command, ENCODE, 3)
        assert child.waits()
        child.kill()
        mount("-o", "remount,bind,ro", seen)
        line = end_in_one_line(forked(command), printed)
        assert "cannot be written (Read-only file system). Choose another --out" in line
        mount("-o", "remount,bind,rw", seen)
        assert forked(command).end() == 0
        check_whole(seen / "features", expected)
