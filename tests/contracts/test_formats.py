"""Every interchange format: what goes out comes back, bit by bit, and nothing appears half."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo import plugins
from emo.errors import StoreError
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.exchange import write_parts as parts
from emo.store.exchange.format import Format
from emo.store.exchange.transfer import export_file, import_file
from emo.store.maintain.verify import verify
from tests.make_store import RECIPE

ALL = plugins.available(plugins.FORMATS)


def kind_of(name):
    return plugins.load(plugins.FORMATS, name, Format)


WRITING = [name for name in ALL if kind_of(name).can_write]
NAMES = [name for name in WRITING if kind_of(name).keeps_all]


def is_pickle(name):
    return kind_of(name).is_pickle


def fill(path, recipe, clips, *, name="toy", failures=()):
    folder = Store.create(path).add_recipe(name, recipe)
    with patch("os.fsync"), PartWriter(folder.path, recipe) as part:
        for clip_id, tokens in clips.items():
            lost = dict.fromkeys(set(recipe.streams) - set(tokens), f"{clip_id} lacks it")
            part.add(clip_id, tokens, absent=lost, notes={"seconds": 1.5})
        for clip_id in failures:
            part.fail(clip_id, "cannot be decoded")
    folder.refresh()
    return folder


def cells_of(folder):
    ids = [*folder.ids, *folder.failures]
    splits = ("train", "val", "test")
    return {i: {"split": splits[k % 3], "label": "joy", "text": "hi"} for k, i in enumerate(ids)}


def there_and_back(name, folder, scratch):
    """Export the store of ``folder``, import it into another, and return the recipe there."""
    file, store = scratch / "out", scratch / "back"
    export_file(name, folder.path.parent, file, cells=cells_of(folder))
    import_file(name, file, store, recipe="back", allow_pickle=is_pickle(name))
    return Store(store).recipes["back"]


def assert_same(back, folder):
    ids = list(folder.ids)
    assert set(back.ids) == set(ids)
    for stream, spec in folder.recipe.streams.items():
        ours, theirs = folder.read(stream, ids), back.read(stream, ids)
        assert theirs.values.dtype == ours.values.dtype
        np.testing.assert_array_equal(theirs.lengths, ours.lengths)
        assert theirs.values.tobytes() == ours.values.tobytes()
        assert back.recipe.streams[stream] == spec
    assert back.absent == folder.absent


def noise(rng, spec, length):
    if np.dtype(spec.dtype).kind == "f":
        return rng.normal(size=(length, spec.dim)).astype(spec.dtype)
    return rng.integers(0, 2, size=(length, spec.dim)).astype(spec.dtype)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_lengths_types_and_absences_come_back(name, data):
    kinds = st.sampled_from(["float16", "float32", "float64", "uint8", "int32", "bool"])
    dtypes = data.draw(st.lists(kinds, min_size=1, max_size=3))
    names = ["video", "audio", "text"][: len(dtypes)]
    streams = {
        name: StreamSpec(2 + k, dtype, level="clip" if k else "word")
        for k, (name, dtype) in enumerate(zip(names, dtypes, strict=True))
    }
    lengths = st.lists(st.integers(0, 6), min_size=len(dtypes), max_size=len(dtypes)).filter(any)
    rows = data.draw(st.lists(lengths, min_size=1, max_size=5))
    present = [k for k in range(len(dtypes)) if any(row[k] for row in rows)]
    recipe = Recipe("toy", {names[k]: streams[names[k]] for k in present})
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    clips = {
        f"train/clip {place}: é": {
            names[k]: noise(rng, streams[names[k]], row[k]) for k in present if row[k]
        }
        for place, row in enumerate(rows)
    }
    with tempfile.TemporaryDirectory() as scratch, patch("os.fsync"):
        folder = fill(Path(scratch) / "store", recipe, clips)
        back = there_and_back(name, folder, Path(scratch))
        assert_same(back, folder)
        assert list(back.ids) == list(folder.ids)


def toy_clips():
    rng = np.random.default_rng(0)
    clips = {
        f"c{k}": {
            "audio": rng.normal(size=(k % 4 + 1, 8)).astype(np.float16),
            "text": rng.normal(size=(1, 5)).astype(np.float32),
            "face": rng.integers(0, 256, size=(3, 12), dtype=np.uint8),
        }
        for k in range(9)
    }
    clips["c3"] = {"text": clips["c3"]["text"]}  # no sound and no face
    clips["c5"]["audio"] = np.zeros((2, 8), np.float16)  # silence is not padding
    clips["c8"]["audio"][-1] = 0
    del clips["c8"]["text"]
    return clips


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "store", RECIPE, toy_clips(), failures=["bad"])


@pytest.mark.parametrize("name", NAMES)
def test_silence_images_reasons_failures_and_notes_come_back(name, folder, tmp_path):
    back = there_and_back(name, folder, tmp_path)
    assert_same(back, folder)
    assert back.failures == folder.failures == {"bad": "cannot be decoded"}
    assert back.notes == folder.notes
    assert not verify(Store(tmp_path / "back")).problems


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_says_where_the_numbers_come_from(name, folder, tmp_path):
    recipe = there_and_back(name, folder, tmp_path).recipe
    assert recipe.backbone == f"import-{name}"
    assert recipe.options["format"] == name
    assert len(recipe.options["sha256"]) == 64
    assert recipe.facts["file"] == "out"
    assert recipe.facts["made_by"] == folder.recipe.to_json()


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_chooses_clips_and_their_order(name, folder, tmp_path):
    chosen = {i: cells_of(folder)[i] | {"split": "train"} for i in ["c7", "c1", "c4"]}
    export_file(name, tmp_path / "store", tmp_path / "out", cells=chosen, streams=["audio"])
    import_file(name, tmp_path / "out", tmp_path / "back", allow_pickle=is_pickle(name))
    back = Store(tmp_path / "back").recipes["out"]
    assert list(back.ids) == ["c7", "c1", "c4"]
    assert list(back.recipe.streams) == ["audio"]


@pytest.mark.parametrize("name", NAMES)
def test_many_tokens_become_several_parts_and_a_second_import_does_nothing(name, folder, tmp_path):
    export_file(name, tmp_path / "store", tmp_path / "out", cells=cells_of(folder))
    with (
        patch("emo.store.exchange.write_parts.PART_BYTES", 200),
        patch("emo.store.exchange.contents.BLOCK_BYTES", 100),
    ):
        for before in (0, 9):
            options = {"recipe": "back", "allow_pickle": is_pickle(name)}
            report = import_file(name, tmp_path / "out", tmp_path / "back", **options)
            assert (report.clips, report.before) == (9 - before, before)
    back = Store(tmp_path / "back").recipes["back"]
    assert len(back.part_paths) > 2
    assert_same(back, folder)


@pytest.mark.parametrize("name", NAMES)
def test_an_import_that_breaks_off_goes_on_from_there(name, folder, tmp_path):
    export_file(name, tmp_path / "store", tmp_path / "out", cells=cells_of(folder))
    options = {"recipe": "back", "allow_pickle": is_pickle(name)}
    calls, add = [], parts._add

    def breaks(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return add(*arguments)

    with patch("emo.store.exchange.write_parts.PART_BYTES", 200):
        with patch("emo.store.exchange.write_parts._add", breaks), pytest.raises(KeyboardInterrupt):
            import_file(name, tmp_path / "out", tmp_path / "back", **options)
        done = len(Store(tmp_path / "back").recipes["back"].ids)
        assert 0 < done < 9
        report = import_file(name, tmp_path / "out", tmp_path / "back", **options)
    assert (report.before, report.clips) == (done, 9 - done)
    back = Store(tmp_path / "back").recipes["back"]
    assert_same(back, folder)
    assert back.failures == folder.failures


@pytest.mark.parametrize("name", NAMES)
def test_an_export_that_breaks_off_leaves_nothing(name, folder, tmp_path):
    def breaks(*_):
        raise OSError(28, "No space left on device")

    with (
        patch("emo.store.recipe_folder.RecipeFolder.read", breaks),
        pytest.raises(StoreError, match="no space left"),
    ):
        export_file(name, tmp_path / "store", tmp_path / "sub" / "out", cells=cells_of(folder))
    assert list((tmp_path / "sub").iterdir()) == []


def test_every_format_is_listed_with_its_options(emo):
    code, out, _ = emo("list", "formats")
    assert code == 0
    table = out.split("\n\n")[0]
    assert [line.split()[0] for line in table.splitlines()[1:]] == ALL
    code, out, _ = emo("list", "formats", "mmsa")
    assert (code, "  split_in_id  " in out, "`emo store export`" in out) == (0, True, True)


@pytest.mark.parametrize("name", WRITING)
def test_what_is_there_is_never_overwritten(name, folder, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StoreError, match="exists; choose another --out"):
        export_file(name, tmp_path / "store", tmp_path / "out", cells=cells_of(folder))
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("name", NAMES)
def test_labels_come_back_as_a_manifest(name, folder, tmp_path):
    cells = cells_of(folder)
    export_file(name, tmp_path / "store", tmp_path / "out", cells=cells)
    options = {"allow_pickle": is_pickle(name), "wants_labels": True}
    report = import_file(name, tmp_path / "out", tmp_path / "back", **options)
    assert report.cells == {clip_id: cells[clip_id] for clip_id in folder.ids}


@pytest.mark.parametrize("name", sorted({*ALL} - {*WRITING}))
def test_a_format_that_is_only_imported_says_so(name, folder, tmp_path):
    with pytest.raises(StoreError, match=f"{name} files are imported only"):
        export_file(name, tmp_path / "store", tmp_path / "out", cells=cells_of(folder))


@pytest.mark.parametrize("name", ALL)
def test_another_kind_of_file_is_refused_in_one_line(name, tmp_path):
    (tmp_path / "x").write_bytes(b"hello, I am no such thing")
    with pytest.raises(StoreError, match="x: ") as caught:
        import_file(name, tmp_path / "x", tmp_path / "back", allow_pickle=is_pickle(name))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "back").exists()
