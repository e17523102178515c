"""A store knows its recipes and clips, reads what is asked in the order asked, and says no well."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.index.merged import Entry, choose
from tests.make_store import RECIPE, audio, noise


def test_a_recipe_is_added_once_and_seen_by_all(store, folder):
    again = Store(store.path)
    assert again.recipes["toy"].recipe == RECIPE
    assert again.add_recipe("toy", RECIPE).name == "toy"
    assert list(again.ids("toy")) == []
    assert again.read("toy/audio").values.shape == (0, 8)


def test_another_recipe_of_the_same_name_is_refused_with_the_difference(store, folder):
    other = Recipe("toy", RECIPE.streams, options={"frames": 16})
    with pytest.raises(StoreError, match=r"options\.frames: 8 -> 16.*--as NAME") as error:
        store.add_recipe("toy", other)
    assert RECIPE.fingerprint in str(error.value)
    assert store.add_recipe("toy16", other).recipe == other


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b"])
def test_a_recipe_name_is_a_plain_folder_name(store, name):
    with pytest.raises(StoreError, match="recipe name"):
        store.add_recipe(name, RECIPE)


def test_writers_that_add_a_recipe_at_once_agree(tmp_path):
    def add(_):
        return Store.create(tmp_path / "features").add_recipe("toy", RECIPE).recipe

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(add, range(8))) == [RECIPE] * 8
    assert [path.name for path in (tmp_path / "features" / "toy").iterdir()] == ["recipe.json"]


def test_what_is_no_store_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match=r"is no store.*`emo extract"):
        Store(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is no store"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="cannot be made a store"):
        Store.create(tmp_path / "file")


def test_a_store_can_be_made_while_another_process_adds_its_first_recipe(tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / ".tmp-other-1-0").touch()
    (tmp_path / "toy" / ".lock-recipe.json").touch()
    assert Store.create(tmp_path).add_recipe("toy", RECIPE).recipe == RECIPE


def test_a_recipe_file_that_was_edited_is_refused(store, folder):
    file = folder.path / "recipe.json"
    file.write_text(file.read_text().replace('"frames": 8', '"frames": 9'))
    with pytest.raises(StoreError, match="edited by hand"):
        Store(store.path)
    file.write_text("{")
    with pytest.raises(StoreError, match="not valid JSON"):
        Store(store.path)


def test_unknown_names_offer_the_nearest(store, folder, commit):
    commit({"dia0_utt1": audio(1), "broken": "no video"})
    for stream, ids, message in (
        ("audio", None, "expected RECIPE/STREAM"),
        ("tory/audio", None, "unknown recipe 'tory'; did you mean 'toy'"),
        ("toy/adio", None, "unknown stream 'adio'; did you mean 'audio'"),
        ("toy/audio", ["dia0_utt2"], "no clip 'dia0_utt2' among its 1; did you mean 'dia0_utt1'"),
        ("toy/audio", ["dia0_utt1", "dia0_utt3"], "no clip 'dia0_utt3'"),
        ("toy/audio", ["broken"], "clip 'broken' failed: no video"),
    ):
        with pytest.raises(StoreError, match=message):
            store.read(stream, ids)
    with pytest.raises(StoreError, match="unknown recipe"):
        store.ids("tory")


def test_ids_are_in_order_of_part_names_then_positions(folder, commit):
    paths = {commit({f"{part}-{clip}": audio(1) for clip in range(2)}): part for part in range(9)}
    expected = [f"{paths[path]}-{clip}" for path in sorted(paths) for clip in range(2)]
    assert list(folder.ids) == expected


def test_any_ids_in_any_order_come_as_asked(folder, commit):
    rng = np.random.default_rng(0)
    clips = {}
    for part in range(4):
        some = noise(part, *rng.integers(1, 9, size=6))
        some = {f"{part}{clip_id}": tokens for clip_id, tokens in some.items()}
        del some[f"{part}c2"]["audio"]
        commit(some)
        clips |= some
    empty = np.zeros((0, 8))
    for _ in range(20):
        ids = rng.choice(list(clips), size=rng.integers(0, 12)).tolist()
        read = folder.read("audio", ids)
        assert len(read) == len(ids)
        for found, clip_id in zip(read, ids, strict=True):
            expected = clips[clip_id].get("audio", empty).astype(np.float16)
            np.testing.assert_array_equal(found, expected)
    whole = folder.read("audio")
    np.testing.assert_array_equal(whole.lengths, folder.lengths("audio"))
    np.testing.assert_array_equal(whole.values, folder.read("audio", list(folder.ids)).values)
    np.testing.assert_array_equal(whole.values, folder.read("audio", threads=2).values)
    whole.values[:] = 0  # the caller's own copy


def test_clips_that_are_not_there_can_count_as_absent(folder, commit):
    commit({"a": audio(2), "b": "failed"})
    read = folder.read_present("audio", ["b", "a", "never seen"])
    assert read.lengths.tolist() == [0, 2, 0]
    assert folder.read_present("face", ["a"]).lengths.tolist() == [0]


def test_large_reads_by_two_threads_equal_those_by_one(store):
    folder = store.add_recipe("wide", Recipe("wide", {"video": StreamSpec(1024, "float32")}))
    rng = np.random.default_rng(0)
    for part in range(2):
        with PartWriter(folder.path, folder.recipe) as writer:
            for clip in range(20):
                length = int(rng.integers(1, 400))
                tokens = rng.normal(size=(length, 1024)).astype(np.float32)
                writer.add(f"{part} {clip}", {"video": tokens})
    folder.refresh()
    one = Store(store.path).recipes["wide"].read("video", threads=1)
    two = folder.read("video", threads=2)
    assert np.array_equal(one.values, two.values)
    assert one.values.nbytes > 2**24


def test_more_parts_than_may_be_mapped_are_read(folder, commit, monkeypatch):
    monkeypatch.setattr("emo.store.index.gather.OPEN_PARTS", 3)
    for part in range(8):
        commit({f"c{part}": {**audio(1, part), "text": np.full((1, 5), part)}})
    for stream in ("audio", "text", "audio"):
        values = folder.read(stream, [f"c{part}" for part in range(8)]).values[:, 0]
        np.testing.assert_array_equal(values, np.arange(8))
    opened = [path for path in folder.part_paths if folder.parts.open(path).opened]
    assert len(opened) == 3


def test_threads_may_share_a_reader(folder, commit, monkeypatch):
    monkeypatch.setattr("emo.store.index.gather.OPEN_PARTS", 2)
    for part in range(6):
        commit({f"c{part}": audio(40, part)})

    def read(turn):
        return folder.read("audio", [f"c{turn % 6}"]).values.max() == turn % 6

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(300)))


def test_refresh_sees_new_parts(store, commit):
    early = Store(store.path)
    assert list(early.ids("toy")) == []
    commit({"a": audio(1)})
    assert list(early.ids("toy")) == []
    early.recipes["toy"].refresh()
    assert list(early.ids("toy")) == ["a"]


def test_a_retry_replaces_a_failure(folder, commit):
    commit({"a": audio(1), "b": "away", "c": "broken"})
    commit({"b": audio(2, 2), "c": "still broken"}, attempt=1)
    assert sorted(folder.ids) == ["a", "b"]
    assert folder.failures == {"c": "still broken"}
    assert folder.attempts == {"a": 0, "b": 1, "c": 1}
    assert folder.read("audio", ["b"]).values.max() == 2
    assert folder.absent.keys() == {"a", "b"}


def test_tokens_are_not_lost_to_a_later_failure_of_the_same_source(folder, commit):
    commit({"a": audio(1, 1)})
    commit({"a": "the disk was away"}, attempt=1)
    assert (list(folder.ids), folder.failures) == (["a"], {})
    assert folder.attempts == {"a": 1}


def test_a_changed_source_wins_even_when_it_cannot_be_decoded(folder, commit):
    commit({"a": audio(1, 1), "b": audio(1, 1)}, source="old")
    commit({"a": audio(2, 2), "b": "broken now"}, source="new", attempt=1)
    assert (list(folder.ids), folder.failures) == (["a"], {"b": "broken now"})
    assert folder.sources == {"a": "new", "b": "new"}
    np.testing.assert_array_equal(folder.read("audio").values, audio(2, 2)["audio"])
    with pytest.raises(StoreError, match="clip 'b' failed: broken now"):
        folder.read("audio", ["b"])


def test_of_equal_entries_the_lowest_file_name_wins(folder, commit):
    paths = [commit({"a": audio(1, 1), "x": audio(1)}), commit({"a": audio(1, 2), "y": audio(1)})]
    winner = 1 + paths.index(min(paths))
    assert folder.read("audio", ["a"]).values.max() == winner
    assert sorted(folder.ids) == ["a", "x", "y"]
    assert len(folder.read("audio")) == 3


@pytest.mark.parametrize(
    ("winner", "entries"),
    [
        (0, [(0, "s", True), (0, "s", False)]),
        (0, [(0, "s", True), (1, "s", False)]),
        (1, [(0, "s", True), (1, "s", True)]),
        (1, [(0, "s", False), (1, "s", False)]),
        (1, [(0, "old", True), (1, "new", False)]),
        (2, [(0, "old", True), (1, "new", False), (2, "new", True)]),
        (0, [(0, "same", True), (1, "other", False), (2, "same", False)]),
        (0, [(0, "s", True), (0, "s", True)]),
    ],
)
def test_which_entry_wins(winner, entries):
    listed = [
        Entry(part, attempt, source, part if has_tokens else None)
        for part, (attempt, source, has_tokens) in enumerate(entries)
    ]
    assert choose(listed) is listed[winner]
    assert choose(listed[::-1]) is listed[winner]


def test_reading_and_writing_parts_imports_no_zarr_and_no_torch(tmp_path):
    script = (
        "import sys, numpy; from emo.store import *;"
        "s = Store.create(sys.argv[1]); f = s.add_recipe('t', Recipe('t', {'a': StreamSpec(2)}))\n"
        "with PartWriter(f.path, f.recipe) as p: p.add('c', {'a': numpy.ones((3, 2))})\n"
        "f.refresh(); print(s.read('t/a', ['c']).values.sum(), {'zarr', 'torch'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "features")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == "6.0 set()\n"


@pytest.mark.skipif(os.name == "nt", reason="counts descriptors in /proc")
def test_reading_leaves_no_file_open(folder, commit):
    paths = {str(commit({f"c{part}": audio(3)})) for part in range(5)}
    folder.read("audio")
    for path in folder.part_paths:
        folder.parts.open(path).release()
    assert not paths & {
        os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
    }
