"""Lists of clips that adapted weights have seen go with the tokens wherever these go."""

import re

import pytest

from emo.errors import StoreError
from emo.store import Recipe, Store, StreamSpec
from emo.store.adapted import SeenClips
from emo.store.exchange.pack import pack, unpack
from emo.store.exchange.transfer import export_file, import_file
from emo.store.maintain.compact import compact
from emo.store.maintain.verify import clean, verify
from emo.store.part.writer import PartWriter
from tests.make_store import noise

SEEN = SeenClips.of({"train": ["c1", "c0", "elsewhere"], "val": ["c2"], "test": ["c3"]})


def made(path, seen=SEEN):
    """A store of four clips, whose weights have seen three and one of another store."""
    recipe = Recipe("toy", {"audio": StreamSpec(8)}, facts={"adapted": seen.facts} if seen else {})
    folder = Store.create(path).add_recipe("toy", recipe, seen=seen)
    with PartWriter(folder.path, recipe) as part:
        for clip_id, streams in noise(0, 2, 3, 1, 2).items():
            part.add(clip_id, {"audio": streams["audio"]})
    return path


@pytest.fixture
def store(tmp_path):
    return made(tmp_path / "features")


def the_list(store):
    (path,) = (store / "toy").glob("adapted-*.csv")
    return path


def test_a_store_keeps_the_list_without_clips_that_were_only_tested(store):
    assert Store(store).recipes["toy"].seen == SEEN
    assert the_list(store).read_text() == "id,split\nc0,train\nc1,train\nelsewhere,train\nc2,val\n"
    assert Store(store).recipes["toy"].recipe.facts["adapted"]["clips"] == {"train": 3, "val": 1}


def test_the_list_changes_no_fingerprint_and_refuses_no_store(store):
    plain = Recipe("toy", {"audio": StreamSpec(8)})
    folder = Store(store).add_recipe("toy", plain)
    assert folder.recipe.fingerprint == plain.fingerprint
    assert folder.seen == SEEN


def test_a_second_list_of_the_same_weights_counts_too(store):
    more = SeenClips.of({"train": ["c3"]})
    folder = Store(store).add_recipe("toy", Recipe("toy", {"audio": StreamSpec(8)}), seen=more)
    assert folder.seen == SEEN | more
    assert not verify(Store(store)).problems


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_text("id,split\nc0,train\n"), "it was changed"),
        (lambda path: path.write_bytes(b"\xff"), "it was changed"),
    ],
    ids=["removed", "edited", "garbled"],
)
def test_a_missing_or_changed_list_is_refused_and_found(store, harm, said):
    harm(the_list(store))
    with pytest.raises(StoreError, match=said):
        _ = Store(store).recipes["toy"].seen
    ((path, text),) = verify(Store(store)).problems
    assert re.fullmatch(r"adapted-[0-9a-f]{16}\.csv", path.name)
    assert said in text


def test_a_changed_list_set_aside_is_written_again(store):
    the_list(store).write_text("id,split\n")
    verify(Store(store), quarantine=True)
    folder = Store(store).add_recipe("toy", Store(store).recipes["toy"].recipe, seen=SEEN)
    assert folder.seen == SEEN


def test_clean_and_compact_keep_the_list(store):
    clean(Store(store))
    compact(Store(store).recipes["toy"])
    assert Store(store).recipes["toy"].seen == SEEN


def test_a_process_that_was_killed_before_the_recipe_leaves_an_empty_store(tmp_path):
    folder = tmp_path / "features" / "toy"
    folder.mkdir(parents=True)
    (folder / SEEN.file_name).write_bytes(SEEN.to_bytes())
    assert Store(tmp_path / "features").recipes == {}


def test_a_pack_carries_the_list(store, tmp_path):
    pack(store, tmp_path / "a.zip")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert Store(tmp_path / "out" / "features").recipes["toy"].seen == SEEN


def test_a_pack_with_neutral_ids_has_a_list_of_neutral_ids(store, tmp_path):
    names = {f"c{row}": f"n{9 - row}" for row in range(4)}
    pack(store, tmp_path / "a.zip", names=names)
    unpack(tmp_path / "a.zip", tmp_path / "out")
    folder = Store(tmp_path / "out" / "features").recipes["toy"]
    assert folder.seen == SeenClips.of({"train": ["n9", "n8"], "val": ["n7"]})
    assert "elsewhere" not in the_list(tmp_path / "out" / "features").read_text()


def test_a_pack_whose_list_was_removed_is_not_written(store, tmp_path):
    the_list(store).unlink()
    with pytest.raises(StoreError, match="missing"):
        pack(store, tmp_path / "a.zip")


@pytest.mark.parametrize("form", ["npz", "hdf5", "parquet", "mertools"])
def test_an_exported_file_carries_the_list(form, store, tmp_path):
    export_file(form, store, tmp_path / "file")
    import_file(form, tmp_path / "file", tmp_path / "other", recipe="toy")
    folder = Store(tmp_path / "other").recipes["toy"]
    assert folder.seen == SEEN
    assert folder.recipe.facts["adapted"] == SEEN.facts


def test_an_export_without_adapted_weights_is_as_before(tmp_path):
    made(tmp_path / "features", SeenClips())
    export_file("npz", tmp_path / "features", tmp_path / "file")
    import_file("npz", tmp_path / "file", tmp_path / "other", recipe="toy")
    assert list((tmp_path / "other" / "toy").glob("adapted-*")) == []
