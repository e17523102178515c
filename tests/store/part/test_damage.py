"""No damaged byte is ever read as tokens; a damaged part is named, set aside and done again."""

import shutil
import zipfile

import numpy as np
import pytest
import zarr

from emo.errors import StoreError
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.maintain.verify import verify
from emo.store.part.reader import Part
from emo.store.part.verify import problems
from emo.store.part.zip import Archive
from tests.make_store import audio, noise


def flip(path, position):
    """Turn one bit of a file over."""
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)


def member_at(path, name):
    with Archive(path) as archive:
        return archive.data_start(name)


@pytest.mark.parametrize(
    "member",
    ["audio/values/c/0/0", "audio/offsets/c/0", "audio/crc32c/c/0", "audio/values/zarr.json"],
)
def test_a_damaged_byte_is_found_by_read_and_by_verify(store, commit, member):
    path = commit(noise(0, 3, 5))
    flip(path, member_at(path, member) + 9 % (4 if "crc" in member else 99))
    with pytest.raises(StoreError, match=rf"{path.name}.*damaged.*--quarantine"):
        Store(store.path).read("toy/audio")
    report = verify(store, progress=False)
    assert {part for part, _ in report.problems} == {path}
    assert path.name in report.table()


def test_verify_finds_damage_that_only_other_readers_would_meet(store, commit):
    path = commit(noise(0, 3))
    flip(path, member_at(path, "audio/zarr.json") + 5)
    assert len(store.read("toy/audio")) == 1
    problems = verify(store, progress=False).problems
    assert problems == [(path, "member audio/zarr.json: checksum differs")]


def test_a_damaged_byte_of_the_attributes_is_found_on_opening(store, commit):
    path = commit(noise(0, 3))
    flip(path, member_at(path, "zarr.json") + 200)
    with pytest.raises(StoreError, match=r"damaged: checksum of member zarr\.json differs"):
        Store(store.path).ids("toy")


@pytest.mark.parametrize("size", [0, 1, 30, 500, -1, -30, -600])
def test_a_truncated_part_is_named(store, commit, size):
    path = commit(noise(0, 30, 50))
    path.write_bytes(path.read_bytes()[:size])
    again = Store(store.path)
    with pytest.raises(StoreError, match=f"{path.name} is damaged"):
        again.ids("toy")
    assert [part for part, _ in verify(again, progress=False).problems] == [path]


def test_whichever_byte_is_damaged_nothing_wrong_is_read(tmp_path):
    """A flipped bit is found, or lies where nobody looks (a date, the room left for alignment)."""
    with PartWriter(tmp_path, Recipe("toy", {"audio": StreamSpec(8)})) as writer:
        writer.add("c0", audio(3))
    path = writer.committed
    whole = path.read_bytes()
    missed = 0
    for position in range(0, len(whole), 11):
        flip(path, position)
        try:
            part = Part(path)
            missed += not problems(part)
            np.testing.assert_array_equal(part.read("audio").values, np.ones((3, 8)))
            assert (part.clip_ids, part.failures) == (["c0"], {})
        except StoreError:
            pass
        path.write_bytes(whole)
    assert missed < 0.4 * len(whole) / 11


def test_quarantine_sets_a_part_aside_so_that_it_can_be_done_again(store, folder, commit):
    good, bad = commit({"a": audio(2)}), commit({"b": audio(3)})
    bad.write_bytes(bad.read_bytes()[:100])
    report = verify(Store(store.path), quarantine=True, progress=False)
    assert [recipe.clips for recipe in report.recipes] == [1]
    assert [path.name for path in report.recipes[0].quarantined] == [f"quarantined-{bad.name}"]
    folder.refresh()
    assert list(folder.ids) == ["a"]
    assert commit({"b": audio(3)}) == bad
    assert sorted(folder.ids) == ["a", "b"]
    assert verify(store, progress=False).problems == []
    assert good.exists()


def test_one_random_clip_pays_for_its_own_chunks_alone(folder):
    recipe = Recipe("wide", {"video": StreamSpec(1024, "float32")})
    rng = np.random.default_rng(0)
    with PartWriter(folder.path.parent, recipe) as writer:
        for clip in range(8):
            writer.add(f"c{clip}", {"video": rng.normal(size=(256, 1024))})
    part = Part(writer.committed)
    layout = part.layout("video")
    part.check("video", 256, 512)
    assert list(layout.is_verified) == [0, 1, 0, 0, 0, 0, 0, 0]
    flip(writer.committed, layout.start + 3 * layout.chunk_bytes + 5)
    part = Part(writer.committed)
    part.check("video", 0, 768)
    with pytest.raises(StoreError, match="checksum of chunk 3 differs"):
        part.check("video", 700, 800)


def test_verify_looks_again_at_chunks_that_were_read_before(commit):
    """Our own checksums too, which do not depend on those of the zip."""
    part = Part(commit(noise(0, 3)))
    part.read("audio")
    flip(part.path, part.layout("audio").start + 5)
    part.release()
    assert "stream 'audio': checksum of chunk 0 differs" in problems(part)


def test_a_part_of_another_recipe_is_refused(tmp_path, store, folder, commit):
    commit({"a": audio(1)})
    other = Recipe("toy", {"audio": StreamSpec(8)}, options={"frames": 9})
    with PartWriter(tmp_path, other) as writer:
        writer.add("b", audio(1))
    shutil.move(writer.committed, folder.path)
    folder.refresh()
    with pytest.raises(StoreError, match=f"it is of recipe {other.fingerprint}"):
        _ = folder.ids
    assert len(verify(store, progress=False).problems) == 1


def test_a_renamed_part_and_a_clip_without_tokens_are_problems(folder, commit):
    path = commit({"a": audio(1), "b": audio(2)})
    path = path.rename(path.with_name("part-0123456789abcdef.zarr.zip"))
    part = Part(path)
    assert any("belong into a file called" in problem for problem in problems(part))
    part.failures["a"] = "both"
    assert any("clip 'a' is in it 2 times" in problem for problem in problems(part))


def test_a_part_of_a_later_format_says_so(commit, monkeypatch):
    monkeypatch.setattr("emo.store.part.writer.FORMAT_VERSION", 2)
    path = commit({"a": audio(1)})
    with pytest.raises(StoreError, match="format 2, but this program reads up to 1"):
        Part(path)


def test_a_part_that_vanished_is_no_crash(folder, commit):
    """The reader looks again, and tells what any new reader would."""
    gone = commit({"a": audio(1)})
    commit({"b": audio(2)})
    gone.unlink()
    assert list(folder.ids) == ["b"]
    with pytest.raises(StoreError, match="no clip 'a' among its 1"):
        folder.read("audio", ["a"])
    shutil.rmtree(folder.path)
    with pytest.raises(StoreError, match="cannot be read"):
        folder.refresh()


def rezipped(path, compression):
    """The same members written again by another tool."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in members.items():
            target.writestr(name, data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_part_zipped_by_another_tool_is_read(store, folder, commit, compression):
    path = commit(noise(0, 3, 40))
    expected = {name: folder.read(name).values for name in folder.recipe.streams}
    rezipped(path, compression)
    again = Store(store.path)
    for name, values in expected.items():
        np.testing.assert_array_equal(again.read(f"toy/{name}").values, values)
        np.testing.assert_array_equal(
            again.read(f"toy/{name}", ["c1"])[0],
            values[-len(again.read(f"toy/{name}", ["c1"])[0]) :],
        )
    assert verify(again, progress=False).problems == []


def test_a_part_written_by_zarr_without_compression_is_read(folder, commit, tmp_path):
    """Other chunks: copied one by one, with the same results."""
    path = commit(noise(0, 3, 40))
    ours = Part(path)
    target = tmp_path / path.name
    zip_store = zarr.storage.ZipStore(target, mode="w")
    old = zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
    new = zarr.create_group(zip_store, attributes=dict(old.attrs))
    for stream in ours.specs:
        for name in ("offsets", "values"):
            cells = old[f"{stream}/{name}"][...]
            shape = (2,) * cells.ndim
            new.create_array(f"{stream}/{name}", data=cells, chunks=shape, compressors=None)
    zip_store.close()
    theirs = Part(target)
    for stream in ours.specs:
        assert theirs.layout(stream).start is None
        np.testing.assert_array_equal(theirs.read(stream).values, ours.read(stream).values)
    assert problems(theirs) == []
