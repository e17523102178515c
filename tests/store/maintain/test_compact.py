"""Compaction changes which files hold the clips and nothing else, wherever it is killed."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emo.errors import StoreError
from emo.store import PartWriter, Store
from emo.store.index.file import index_paths
from emo.store.maintain.compact import compact
from emo.store.maintain.index import has_index, make_index
from emo.store.maintain.verify import clean, verify
from emo.store.part.writer import part_name
from tests.make_store import RECIPE, audio, noise


def known(store):
    """All that a new reader learns of a recipe, whatever the order of its clips."""
    folder = Store(store.path).recipes["toy"]
    ids = sorted(folder.ids)
    assert len(ids) == len(folder.ids)
    return {
        "reads": {
            stream: dict(zip(ids, [t.tobytes() for t in folder.read(stream, ids)], strict=True))
            for stream in RECIPE.streams
        },
        "failures": folder.failures, "sources": folder.sources, "attempts": folder.attempts,
        "absent": {clip_id: folder.absent[clip_id] for clip_id in ids if clip_id in folder.absent},
        "notes": {clip_id: folder.notes[clip_id] for clip_id in ids if clip_id in folder.notes},
    }  # fmt: skip


def parts_of(store):
    return sorted(path.name for path in store.path.glob("toy/part-*"))


def assert_clean(store, overlaps=0):
    (report,) = verify(store, progress=False).recipes
    assert (report.problems, report.overlaps) == ((), overlaps)


def fill(folder, parts):
    """``parts``: (clip -> length, 0 for a failure; attempt; source), each with own tokens.

    In place of a length (length, source) may stand: a source of this clip's own.
    """
    for place, (entries, attempt, of_part) in enumerate(parts):
        with PartWriter(folder.path, RECIPE, attempt=attempt) as part:
            for clip_id, entry in entries.items():
                length, source = entry if isinstance(entry, tuple) else (entry, of_part)
                if length:
                    tokens = audio(length, place)
                    part.add(clip_id, tokens, source=source, notes={"place": place})
                else:
                    part.fail(clip_id, f"reason {place}", source=source)


SMALL = [
    ({"a": 2, "b": 1, "c": 0}, 0, "s"), ({"d": 1, "e": 3}, 0, "s"), ({"c": 0}, 1, "s"),
    ({"c": 4, "f": 0}, 2, "s"), ({"a": 1, "g": 2}, 0, "s"), ({"b": 0, "h": 1}, 1, "t"),
]  # fmt: skip


@pytest.fixture
def filled(folder):
    fill(folder, SMALL)


def test_small_parts_become_one_an_attempt_and_overlaps_go(store, folder, filled):
    expected = known(store)
    report = compact(folder, progress=False)
    assert report.line() == "toy: 6 parts -> 3, 6 clips, 3 overlaps removed"
    assert known(store) == expected
    assert_clean(store)
    names = parts_of(store)
    assert compact(folder, progress=False).after == 3
    assert parts_of(store) == names, "nothing to do the second time"


SOURCES = [
    ({"你": 1, "c": 1}, 2, "s"), ({"c": 1, "😀": (1, "t"), "é": (1, "t")}, 1, "s"),
    ({"é": 1, "a": 0, "b": (1, "s")}, 0, "t"), ({"c": 1}, 1, "t"),
    ({"b": 0, "c": 0, "😀": (1, "t"), "你": 0}, 1, "s"),
]  # fmt: skip
CLIPS = st.dictionaries(st.sampled_from("abcdeé"), st.integers(0, 3), min_size=1)
PARTS = st.lists(st.tuples(CLIPS, st.integers(0, 2), st.sampled_from("st")), max_size=7)


@settings(max_examples=60, deadline=None)
@given(parts=PARTS, most=st.sampled_from([1, 2, 3, 100]))
@example(parts=[({"a": 0}, 0, "s"), ({"a": 1, "b": 1}, 0, "s"), ({"b": 2}, 1, "s")], most=100)
@example(parts=[({"a": 1, "b": 1}, 0, "s"), ({"a": 2}, 0, "s"), ({"b": 3}, 0, "s")], most=100)
@example(parts=[({"a": 0}, 0, "s"), ({"b": 0}, 1, "s"), ({"b": 1}, 0, "s")], most=1)
@example(parts=SOURCES, most=100)  # removed in another order, the middle reads otherwise
def test_any_parts_read_the_same_after_and_at_each_step(parts, most, tmp_path_factory):
    store = Store.create(tmp_path_factory.mktemp("s"))
    folder = store.add_recipe("toy", RECIPE)
    steps = []

    def look(*_):
        steps.append(known(store))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        fill(folder, parts)
        expected = known(store)
        patch.setattr("emo.store.maintain.compact_groups.MAX_CLIPS", most)
        unlink = Path.unlink
        patch.setattr(Path, "unlink", lambda path, **options: (unlink(path, **options), look()))
        compact(folder, progress=False)
    assert all(step == expected for step in steps)
    assert known(store) == expected
    assert verify(store, progress=False).problems == []


def test_parts_are_packed_by_clips_and_by_bytes(store, folder, monkeypatch):
    fill(folder, [({f"{part}-{clip}": 2 for clip in range(3)}, 0, "s") for part in range(8)])
    expected = known(store)
    monkeypatch.setattr("emo.store.maintain.compact_groups.MAX_CLIPS", 10)
    assert compact(folder, progress=False).after == 3
    monkeypatch.setattr("emo.store.maintain.compact_groups.MAX_CLIPS", 100)
    monkeypatch.setattr(
        "emo.store.maintain.compact_groups.MAX_PART_BYTES", 20 * 2 * 8 * 2
    )  # of 20 clips
    assert compact(folder, progress=False).after == 3, "parts half full stay"
    monkeypatch.setattr("emo.store.maintain.compact_groups.MAX_PART_BYTES", 2**30)
    assert compact(folder, progress=False).after == 1
    assert known(store) == expected
    assert_clean(store)


def test_readers_of_the_old_parts_read_on(store, folder, commit, monkeypatch):
    monkeypatch.setattr("emo.store.index.gather.OPEN_PARTS", 2)
    for part in range(6):
        commit({f"c{part}": audio(3, part)})
    indexed = make_index(folder, progress=False)
    fresh, early, lazy = (Store(store.path).recipes["toy"] for _ in range(3))
    early.read("audio", ["c0", "c5"])
    assert len(lazy.ids) == indexed.clips
    assert compact(folder, progress=False).after == 1
    for reader in (fresh, early, lazy):
        assert sorted(reader.ids) == [f"c{part}" for part in range(6)]
        for part in range(6):
            assert reader.read("audio", [f"c{part}"]).values.max() == part


def test_a_store_with_an_index_has_one_afterwards(store, folder, filled):
    compact(folder, progress=False)
    assert not index_paths(folder.path)
    make_index(folder, progress=False)
    fill(folder, [({"new": 1}, 0, "s"), ({"newer": 1}, 0, "s")])
    expected = known(store)
    compact(folder, progress=False)
    assert has_index(folder)
    assert known(store) == expected


def test_a_retry_after_compaction_wins(store, folder, filled, commit):
    compact(folder, progress=False)
    commit({"f": audio(1, 9)}, attempt=folder.attempts["f"] + 1)
    assert "f" not in folder.failures
    compact(folder, progress=False)
    assert folder.read("audio", ["f"]).values.max() == 9
    assert_clean(store)


@pytest.mark.parametrize("differs", ["source", "note", "absence"])
def test_a_part_of_the_same_tokens_and_other_facts_is_not_taken_for_the_new_one(
    store, folder, differs
):
    """Two parts of one clip win; the name of what they would become is that of a part that lost."""
    few = ("a", "b", "c", "d", "e", "f", "g", "h")
    pairs = ((x, y) for x in few for y in few if part_name([x]) < part_name([y]))
    ids = next(pair for pair in pairs if part_name([pair[1]]) < part_name(pair))

    def commit(clip_ids, other=""):
        with PartWriter(folder.path, RECIPE) as part:
            for clip_id in clip_ids:
                part.add(
                    clip_id, audio(1), source=other * (differs == "source"),
                    notes={"n": len(other * (differs == "note"))},
                    absent={"text": f"so {other * (differs == 'absence')}"},
                )  # fmt: skip

    commit(ids, other="old")
    for clip_id in ids:
        commit([clip_id])
    expected = known(store)
    compact(folder, progress=False)
    assert known(store) == expected


def test_a_damaged_part_stops_compaction_and_loses_nothing(store, folder, commit):
    good, bad = commit(noise(0, 3, 5)), commit({"x": audio(30)})
    whole = bad.read_bytes()
    bad.write_bytes(bytes([whole[0]]) + whole[1:200] + bytes([whole[200] ^ 4]) + whole[201:])
    with pytest.raises(StoreError, match=f"{bad.name} is damaged"):
        compact(folder, progress=False)
    assert sorted(path.name for path in folder.path.glob("*part-*")) == sorted(
        [good.name, bad.name]
    )


def killed(folder, *, at):
    """Compact in a forked process that kills itself at its n-th call of the file system."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    calls = iter(range(10**6))

    def deadly(call):
        def called(*words, **options):
            if next(calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **options)

        return called

    for owner, name in ((os, "link"), (os, "fsync"), (Path, "unlink"), (os, "open")):
        setattr(owner, name, deadly(getattr(owner, name)))
    code = 1
    try:
        compact(folder, progress=False)
        code = 0
    finally:
        os._exit(code)


@pytest.mark.skipif(os.name == "nt", reason="processes are forked here; no fork on Windows")
def test_killed_at_any_call_of_the_file_system_the_store_reads_the_same(store, folder, filled):
    """Each run goes on where the one before was killed."""
    make_index(folder, progress=False)
    expected, kills = known(store), 0
    for at in range(400):
        if killed(folder, at=at) == 0:
            break
        kills += 1
        assert known(store) == expected
        assert verify(store, progress=False).problems == []
    assert kills >= 10
    clean(store)
    compact(folder, progress=False)
    assert known(store) == expected
    assert_clean(store)
    assert len(parts_of(store)) == 3


@pytest.mark.crash
@pytest.mark.skipif(os.name == "nt", reason="processes are forked here; no fork on Windows")
def test_killed_at_each_of_its_calls_or_at_any_moment(tmp_path):
    """A new store each time; half of the kills at a chosen call, half after a random time."""
    random.seed(0)
    before_links = after = 0
    for turn in range(200):
        store = Store.create(tmp_path / str(turn))
        folder = store.add_recipe("toy", RECIPE)
        fill(folder, SMALL)
        expected, names = known(store), parts_of(store)
        if turn % 2:
            killed(folder, at=turn // 2)
        else:
            pid = os.fork()
            if not pid:
                compact(folder, progress=False)
                os._exit(0)
            time.sleep(random.uniform(0, 0.03))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert known(store) == expected
        before_links += parts_of(store) == names
        after += len(parts_of(store)) == 3
        clean(store)
        compact(folder, progress=False)
        assert known(store) == expected
        assert_clean(store)
    assert before_links < 190
    assert before_links + after < 195, "some were killed between the first link and the end"


def test_the_command_compacts_one_recipe(emo, store, filled):
    code, out, _ = emo("store", "compact", store.path, "--recipe", "toy")
    assert (code, out) == (0, "toy: 6 parts -> 3, 6 clips, 3 overlaps removed\n")
