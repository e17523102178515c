"""Verify reads everything, clean spares the living, summary counts."""

import os
import time

import numpy as np
import pytest

from emo.store import Store
from emo.store.backend.process_identity import host
from emo.store.maintain.compact import compact
from emo.store.maintain.verify import clean, summary, verify
from emo.store.part.verify import problems
from tests.make_store import audio, dead_pid, noise, owner


def test_a_sound_store_has_no_problems_and_is_counted(store, commit):
    commit(noise(0, 3, 5))
    commit({"x": "broken"})
    commit({"x": audio(2), "y": "broken"}, attempt=1)
    report = verify(store, progress=False)
    assert report.problems == []
    (recipe,) = report.recipes
    assert (recipe.parts, recipe.clips, recipe.failures, recipe.overlaps) == (3, 3, 1, 1)
    assert report.table() == "toy: 3 parts, 3 clips, 1 failure, 1 overlap: ok"


def test_numbers_that_are_not_finite_are_found(store, commit, monkeypatch):
    monkeypatch.setattr(
        "emo.store.part.writer.np.isfinite", lambda array: np.ones(array.shape, bool)
    )
    commit({"good": audio(4), "bad": audio(3, np.nan)})
    monkeypatch.undo()
    ((_, problem),) = verify(store, progress=False).problems
    assert problem == "stream 'audio': clip 'bad' is not finite"


def test_summary_has_a_row_a_stream(store, folder, commit):
    commit(noise(0, 3, 5) | {"z": "broken"})
    commit({"only audio": audio(4)})
    rows = {row["stream"]: row for row in summary(store)}
    assert rows["audio"] == {
        "recipe": "toy", "stream": "audio", "clips": 3, "tokens": 12, "dim": 8,
        "dtype": "float16", "bytes": 192, "parts": 2, "failures": 1,
    }  # fmt: skip
    assert (rows["text"]["clips"], rows["text"]["bytes"]) == (2, 40)
    assert rows["face"]["tokens"] == 8


def test_clean_removes_what_the_dead_left_and_nothing_else(store, folder, commit):
    part = commit({"a": audio(1)})
    dead = folder.path / f".tmp-{owner(dead_pid())}"
    dead_lock = folder.path / f".lock-{part.name}"
    alive = folder.path / f".tmp-{owner(os.getpid())}"
    elsewhere = folder.path / f".tmp-other-host-{dead_pid()}-0"
    elsewhere_long_ago = folder.path / f".tmp-other-host-{dead_pid()}-1"
    for path in (dead, alive, elsewhere, elsewhere_long_ago):
        path.write_bytes(b"12345")
    dead_lock.write_text(owner(dead_pid()))
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(elsewhere_long_ago, (two_days_ago, two_days_ago))
    report = clean(store)
    assert {path for path, _ in report.removed} == {dead, dead_lock, elsewhere_long_ago}
    assert set(report.kept) == {alive, elsewhere}
    assert f"removed {dead} (5 bytes)" in report.table()
    left = {path.name for path in folder.path.iterdir()}
    assert left == {"recipe.json", part.name, alive.name, elsewhere.name}


def test_a_host_name_with_dashes_is_recognised(store, folder, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node-17.cluster")
    assert host().startswith("node_17.cluster.")
    path = folder.path / f".tmp-{owner(dead_pid())}"
    path.touch()
    assert [removed for removed, _ in clean(store).removed] == [path]


def test_leftovers_are_not_read(store, folder, commit):
    part = commit({"a": audio(1)})
    (folder.path / f".tmp-{owner(1)}").write_bytes(part.read_bytes()[:50])
    (folder.path / "quarantined-part-0.zarr.zip").write_bytes(b"")
    (folder.path / "notes.txt").write_text("mine")
    folder.refresh()
    assert list(folder.ids) == ["a"]
    assert verify(store, progress=False).problems == []


@pytest.mark.parametrize("quarantine", [False, True])
@pytest.mark.parametrize("index", [0, 3])
def test_verify_goes_on_where_compaction_takes_parts_away(
    store, folder, commit, monkeypatch, quarantine, index
):
    """Compaction comes when one part is open, and those before it were looked at."""
    for clip in range(4):
        commit({f"c{clip}": audio(2, clip)})
    begun = []

    def compacted(part):
        begun.append(part)
        if len(begun) == index + 1:
            compact(Store(store.path).recipes["toy"], progress=False)
        return problems(part)

    monkeypatch.setattr("emo.store.maintain.verify.problems", compacted)
    (report,) = verify(store, quarantine=quarantine, progress=False).recipes
    assert (report.problems, report.quarantined) == ((), ())
    assert (report.parts, report.clips, report.overlaps) == (1, 4, 0)


def test_parts_that_are_at_fault_are_counted_with_the_others(store, commit):
    commit({"a": audio(1)})
    bad, torn = commit({"b": audio(3)}), commit({"c": audio(3)})
    data = bytearray(bad.read_bytes())
    data[200] ^= 4
    bad.write_bytes(data)
    torn.write_bytes(torn.read_bytes()[:100])
    assert [verify(store, progress=False).recipes[0].parts for _ in range(2)] == [3, 3]
    assert verify(store, progress=False, quarantine=True).recipes[0].parts == 3
    assert verify(store, progress=False).recipes[0].parts == 1
