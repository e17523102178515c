"""An index changes how fast a store opens and nothing else: stale, missing and damaged ones too."""

import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.store import PartWriter, Store
from emo.store.index.file import index_paths
from emo.store.index.indexed import Indexed
from emo.store.index.merged import Merged
from emo.store.maintain.index import has_index, make_index
from emo.store.maintain.verify import verify
from emo.store.part.zip import Archive
from tests.make_store import RECIPE, audio, noise


def known(folder):
    """All that a reader can learn of a recipe."""
    reads = {
        stream: [tokens.tobytes() for tokens in folder.read(stream)] for stream in RECIPE.streams
    }
    backwards = folder.read("audio", list(folder.ids)[::-1])
    return {
        "ids": list(folder.ids), "failures": folder.failures, "sources": folder.sources,
        "attempts": folder.attempts, "absent": folder.absent, "notes": folder.notes,
        "reads": reads, "backwards": [tokens.tobytes() for tokens in backwards],
        "lengths": {stream: folder.lengths(stream).tolist() for stream in RECIPE.streams},
    }  # fmt: skip


def opened(store):
    return Store(store.path).recipes["toy"]


def assert_told_alike(store, *, by=Indexed):
    """The store, as a new reader finds it, tells what its parts tell."""
    folder = opened(store)
    assert isinstance(folder.parts.merged, by)
    found = known(folder)
    parts = opened(store)
    parts._may_use_index = False
    assert found == known(parts)
    return found


@pytest.fixture
def filled(commit):
    commit(noise(0, 3, 5, 2))
    commit({"é": audio(2), "b": "away", "c": "broken"})
    commit({"b": audio(2, 2), "c": "still broken"}, attempt=1)


def test_an_index_tells_what_the_parts_tell(store, folder, filled):
    report = make_index(folder, progress=False)
    assert report.line() == "toy: 3 parts, 5 clips, 1 failure: index-000001.zarr.zip"
    assert_told_alike(store)


def test_newer_parts_are_read_on_top(store, folder, filled, commit):
    make_index(folder, progress=False)
    commit({"new": audio(7, 3), "c": "a third time"}, attempt=2)
    commit({"c0": audio(1, 9), "é": "lost"}, attempt=3, source="changed")
    commit({"x": "first", "y": audio(2)})
    found = assert_told_alike(store)
    assert (found["failures"]["c"], found["attempts"]["c"]) == ("a third time", 2)
    assert "é" in found["failures"]
    make_index(folder, progress=False)
    assert assert_told_alike(store) == found
    assert [path.name for path in index_paths(folder.path)] == ["index-000002.zarr.zip"]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_parts_before_and_after_the_index_are_told_alike(data, tmp_path_factory):
    store = Store.create(tmp_path_factory.mktemp("s"))
    folder = store.add_recipe("toy", RECIPE)
    clips = st.dictionaries(st.sampled_from("abcdé"), st.integers(0, 3), min_size=1)
    parts = data.draw(
        st.lists(st.tuples(clips, st.integers(0, 3), st.sampled_from("st")), max_size=6)
    )
    at = data.draw(st.integers(0, len(parts)))
    for place, (entries, attempt, source) in enumerate(parts):
        if place == at:
            make_index(folder, progress=False)
        with PartWriter(folder.path, RECIPE, attempt=attempt) as part:
            for clip_id, length in entries.items():
                if length:
                    part.add(clip_id, audio(length, place), source=source)
                else:
                    part.fail(clip_id, f"reason {place}", source=source)
    if at == len(parts):
        make_index(folder, progress=False)
    assert_told_alike(store)


def test_an_index_of_parts_that_are_gone_is_not_used(store, folder, filled):
    make_index(folder, progress=False)
    folder.part_paths[0].unlink()
    assert not has_index(folder)
    assert_told_alike(store, by=Merged)


def test_a_part_replaced_under_its_name_makes_the_index_stale(store, folder, commit):
    path = commit({"a": audio(2, 1), "b": audio(2, 1), "c": "no"})
    make_index(folder, progress=False)
    path.unlink()
    size = commit({"a": audio(2, 2), "c": audio(2, 2), "b": "no"}).stat().st_size
    assert size == path.stat().st_size
    assert assert_told_alike(store, by=Merged)["failures"] == {"b": "no"}


def test_a_copied_store_keeps_the_use_of_its_index(store, folder, filled, tmp_path):
    make_index(folder, progress=False)
    shutil.copytree(store.path, tmp_path / "copy", copy_function=shutil.copyfile)
    for part in (tmp_path / "copy" / "toy").glob("part-*"):
        os.utime(part)  # younger than the index
    assert_told_alike(Store(tmp_path / "copy"))


def test_whichever_byte_of_an_index_is_damaged_the_store_reads_the_same(store, folder, filled):
    path = make_index(folder, progress=False).path
    expected, whole = known(opened(store)), path.read_bytes()
    for position in range(0, len(whole), 397):
        data = bytearray(whole)
        data[position] ^= 4
        path.write_bytes(data)
        assert known(opened(store)) == expected
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert known(opened(store)) == expected


def test_an_index_of_another_recipe_is_not_used(store, folder, filled):
    path = make_index(folder, progress=False).path
    other = Store.create(store.path.parent / "other").add_recipe("toy", RECIPE)
    shutil.copy(path, other.path)
    assert list(opened(store).ids)
    assert list(Store(other.path.parent).ids("toy")) == []


def test_readers_keep_an_index_that_was_replaced(store, folder, filled, commit):
    make_index(folder, progress=False)
    early = opened(store)
    assert len(early.ids) == 5
    commit({"later": audio(1)})
    make_index(folder, progress=False)
    assert early.read("audio", ["c1"]).lengths.tolist() == [5]
    assert "later" not in list(early.ids)
    early.refresh()
    assert "later" in list(early.ids)


def test_opening_by_an_index_opens_only_the_part_that_is_read(store, folder, commit):
    for part in range(5):
        commit({f"c{part}": audio(3, part)})
    make_index(folder, progress=False)
    reader = opened(store)
    assert len(reader.ids) == 5
    assert reader.read("audio", ["c3"]).values.max() == 3
    assert len(reader.parts._parts) == 1


def test_many_lookups_make_a_dict_and_find_the_same(store, folder, commit):
    commit({f"c{clip}": audio(1 + clip % 3, clip) for clip in range(400)})
    make_index(folder, progress=False)
    reader = opened(store)
    for clip in np.random.default_rng(0).integers(400, size=40):
        assert reader.read("audio", [f"c{clip}"]).lengths.tolist() == [1 + clip % 3]
        assert reader.read_present("audio", ["nobody", f"c{clip}"]).lengths[0] == 0


def test_verify_finds_a_damaged_index_and_quarantine_removes_it(store, folder, filled):
    path = make_index(folder, progress=False).path
    assert verify(store, progress=False).problems == []
    with Archive(path) as archive:
        position = archive.data_start("wins/values/c/0/0")
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    ((found, problem),) = verify(store, progress=False).problems
    assert found == path
    assert "checksum" in problem
    verify(store, quarantine=True, progress=False)
    assert index_paths(folder.path) == []
    assert verify(store, progress=False).problems == []


def test_the_command_indexes_all_recipes_or_one(emo, store, filled):
    code, out, _ = emo("store", "index", store.path)
    assert (code, out) == (0, "toy: 3 parts, 5 clips, 1 failure: index-000001.zarr.zip\n")
    code, _, err = emo("store", "index", store.path, "--recipe", "tony")
    assert code == 1
    assert "did you mean 'toy'" in err


def test_an_older_index_that_cannot_be_removed_is_no_error(folder, filled, monkeypatch):
    def unlink(path, missing_ok=False):
        if path.name.startswith("index-"):
            raise OSError(5, "Input/output error")
        os.unlink(path)

    make_index(folder)
    with monkeypatch.context() as patched:
        patched.setattr(type(folder.path), "unlink", unlink)
        make_index(folder)
    assert len(index_paths(folder.path)) == 2
    make_index(folder)
    assert len(index_paths(folder.path)) == 1
