"""A store in a bucket reads as one in a folder does, and fetches no more than it must."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.backend.location import local, location
from emo.store.backend.object_path import ObjectPath
from emo.store.maintain.compact import compact
from emo.store.maintain.index import make_index
from emo.store.maintain.verify import clean, summary, verify
from tests.make_store import RECIPE, noise

LARGE = Recipe("large", {"audio": StreamSpec(256), "video": StreamSpec(1024)})


def fill(store, recipe=RECIPE, name="toy", parts=3):
    folder = store.add_recipe(name, recipe)
    for number in range(parts):
        with PartWriter(folder.path, recipe) as part:
            for clip_id, tokens in noise(number, 5, 1, 9).items():
                part.add(f"{number}-{clip_id}", tokens, source=f"s{number}", notes={"n": number})
            part.fail(f"{number}-bad", "no sound", source="s")
    folder.refresh()
    return folder


def fill_large(store):
    """One part of 4 MiB of video and 256 KiB of audio, 64 clips of 32 tokens."""
    folder = store.add_recipe("large", LARGE)
    rng = np.random.default_rng(0)
    with PartWriter(folder.path, LARGE) as part:
        for number in range(64):
            streams = LARGE.streams.items()
            part.add(f"c{number}", {k: rng.random((32, s.dim), np.float32) for k, s in streams})
    folder.refresh()
    return folder


def token_bytes(requests):
    """By GETs of parts beyond 16 KiB of their ends and what describes their tokens."""
    return sum(
        r.bytes for r in requests if r.method == "GET" and "part-" in r.key and r.bytes > 2**15
    )


def facts_of(folder):
    return (
        list(folder.ids), folder.failures, folder.sources, folder.attempts, folder.absent,
        folder.notes, [path.name for path in folder.part_paths], folder.recipe,
    )  # fmt: skip


def same(ours, theirs):
    assert facts_of(ours) == facts_of(theirs)
    for stream in ours.recipe.streams:
        for ids in (None, list(ours.ids)[::-2]):
            a, b = ours.read(stream, ids), theirs.read(stream, ids)
            assert a.values.tobytes() == b.values.tobytes()
            assert (a.offsets == b.offsets).all()


@pytest.mark.parametrize("changes", [[compact], [make_index, compact]])
def test_a_bucket_reads_as_a_folder(bucket, tmp_path, changes):
    far, near = Store.create(f"{bucket}/deep/features/"), Store.create(tmp_path / "features")
    there, here = fill(far), fill(near)
    same(there, here)
    for change in changes:
        change(there), change(here)
        same(there, here)
    again = Store(f"{bucket}/deep/features")
    same(again.recipes["toy"], here)
    assert summary(again) == summary(near)
    assert verify(again).table() == verify(near).table()
    assert clean(again).table() == "nothing to clean"
    for path in here.part_paths:
        assert (again.recipes["toy"].path / path.name).read_bytes() == path.read_bytes()


def test_who_comes_second_drops_its_copy(bucket):
    folder = fill(Store.create(bucket))
    before = {path: path.stat() for path in folder.part_paths}
    with PartWriter(folder.path, RECIPE) as part:
        for clip_id, tokens in noise(7, 5, 1, 9).items():
            part.add(f"0-{clip_id}", tokens)
        part.fail("0-bad", "no sound")
    assert part.was_second
    assert part.committed in before
    folder.refresh()
    assert {path: path.stat() for path in folder.part_paths} == before


def test_another_recipe_of_the_name_is_refused(bucket):
    Store.create(bucket).add_recipe("toy", RECIPE)
    with pytest.raises(StoreError, match=r"toy was built with recipe .*frames: 8 -> 9"):
        Store.create(bucket).add_recipe("toy", Recipe("toy", RECIPE.streams, {"frames": 9}))


def test_one_clip_fetches_its_chunks_and_ends_of_parts(bucket, object_server):
    fill_large(Store.create(bucket))
    with object_server.heard() as requests:
        tokens = Store(bucket).read("large/video", ["c40"])
    assert tokens.values.shape == (32, 1024)
    assert 0 < token_bytes(requests) <= 2 * 1.1 * 2**20  # two chunks of a MiB at most
    assert sum(r.bytes for r in requests) <= token_bytes(requests) + 2 * 2**15
    with object_server.heard() as requests:
        list(Store(bucket).ids("large"))
    assert token_bytes(requests) == 0


def test_a_second_scan_fetches_no_tokens(bucket, object_server):
    fill_large(Store.create(bucket))
    first = Store(bucket).read("large/video")
    with object_server.heard() as requests:
        second = Store(bucket).read("large/video")
    assert second.values.tobytes() == first.values.tobytes()
    assert requests
    assert not [r for r in requests if "part-" in r.key]


@pytest.mark.parametrize("damage", ["bits", "torn", "removed"])
def test_a_damaged_copy_is_fetched_again(bucket, object_server, tmp_path, damage):
    fill_large(Store.create(bucket))
    whole = Store(bucket).read("large/video").values.tobytes()
    files = sorted((tmp_path / "cache" / "parts").iterdir())
    assert {file.suffix for file in files} == {".part", ".small"}
    for file in files:
        data = bytearray(file.read_bytes())
        if damage == "bits":
            data[len(data) // 3] ^= 8
            data[len(data) // 2 : len(data) // 4 * 3] = bytes(len(data) // 4 * 3 - len(data) // 2)
        file.write_bytes(data[: len(data) // 2] if damage == "torn" else data)
    if damage == "removed":
        shutil.rmtree(tmp_path / "cache")
    with object_server.heard() as requests:
        assert Store(bucket).read("large/video").values.tobytes() == whole
    assert 0 < token_bytes(requests) <= 5 * 2**20


def test_copies_removed_while_they_are_read_do_no_harm(bucket, tmp_path):
    store = Store.create(bucket)
    fill_large(store)
    folder = Store(bucket).recipes["large"]
    first = folder.read("video", ["c0"])
    shutil.rmtree(tmp_path / "cache")
    assert folder.read("video", ["c63"]).values.shape == (32, 1024)
    for part in folder.parts._parts.values():
        part.release()
    assert folder.read("video", ["c0"]).values.tobytes() == first.values.tobytes()


def with_one_bit_changed(path):
    """Puts it in the bucket in the part's place; its bytes."""
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.unlink()
    assert path.bucket.put(path.key, memoryview(data))
    return data


def test_damage_in_the_bucket_is_found_and_set_aside(bucket):
    folder = fill(Store.create(bucket))
    path = folder.part_paths[0]
    data = with_one_bit_changed(path)
    with pytest.raises(StoreError, match="checksum of chunk 0 differs"):
        Store(bucket).read("toy/audio")
    report = verify(Store(bucket), quarantine=True)
    assert [problem.part for problem in report.recipes[0].problems[:1]] == [path]
    assert report.recipes[0].quarantined[0].read_bytes() == data
    assert len(Store(bucket).ids("toy")) == 6


def test_a_part_that_was_replaced_is_not_mixed_with_what_it_was(bucket):
    folder = fill_large(Store.create(bucket))
    reader = Store(bucket).recipes["large"]
    reader.read("video", ["c0"])
    path = folder.part_paths[0]
    with_one_bit_changed(path)
    with pytest.raises(StoreError, match="cannot be read: it was replaced meanwhile"):
        reader.read("video", ["c63"])


def test_readers_of_old_parts_go_on_after_a_compaction(bucket, tmp_path):
    fill(Store.create(bucket))
    reader = Store(bucket).recipes["toy"]
    before = reader.read("audio", ["0-c0"]).values.tobytes()
    compact(Store(bucket).recipes["toy"])
    shutil.rmtree(tmp_path / "cache")
    for part in reader.parts._parts.values():
        part.release()
    assert reader.read("audio", ["0-c0"]).values.tobytes() == before
    assert len(reader.part_paths) == 1


def test_a_part_of_another_tool_is_read_by_zarr(bucket, tmp_path, monkeypatch):
    near = fill(Store.create(tmp_path / "features"))
    there = fill(Store.create(bucket))
    monkeypatch.setattr("emo.store.part.stream_layout._raw_start", lambda *_: None)
    same(Store(bucket).recipes["toy"], Store(tmp_path / "features").recipes["toy"])
    assert near.recipe == there.recipe


def test_places_keep_their_slashes():
    url = location("s3://bucket//features/")
    assert url == ObjectPath("s3://bucket", "features") == location(url)
    assert str(url / "toy") == "s3://bucket/features/toy"
    assert (url / "toy").parent == url
    assert location("s3://bucket").name == ""
    assert location("features/") == Path("features")
    for words in (Path("s3://bucket/features"), "http://host/features"):
        with pytest.raises(StoreError, match="expected"):
            location(words)
    with pytest.raises(StoreError, match="a pack must be a local file"):
        local(Path("s3://bucket/pack.zip"), "a pack")
