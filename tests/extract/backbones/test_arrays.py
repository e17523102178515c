"""The backbone ``arrays``: what a file holds is what the store holds, or a reason stands there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo.errors import MediaError, OptionError
from emo.extract.backbones.arrays import Arrays, ArraysOptions
from emo.extract.decode.array_file import read_array
from emo.extract.decode.source import source_hash
from emo.extract.media import Media, Needs
from emo.manifest import Clip, read_manifest
from emo.store import Store

NEED = Needs(array="words")


def read(path, root=None, key=None):
    return read_array(
        {"words": path.name}, root or path.parent, Needs(array="words", array_key=key)
    )


@settings(max_examples=20, deadline=None)
@given(
    shape=st.one_of(st.tuples(st.integers(1, 9)), st.tuples(st.integers(1, 9), st.integers(1, 9))),
    dtype=st.sampled_from(["f2", "f4", "f8", "i4", "u1"]),
    is_archive=st.booleans(),
)
def test_a_file_is_read_as_it_was_written(tmp_path_factory, shape, dtype, is_archive):
    folder = tmp_path_factory.mktemp("arrays")
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    path = folder / ("a.npz" if is_archive else "a.npy")
    if is_archive:
        np.savez(path, whatever=array)
    else:
        np.save(path, array)
    found = read(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array if len(shape) == 2 else array[None])


def test_what_is_no_array_of_tokens_has_a_reason(tmp_path):
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    np.save(tmp_path / "none.npy", np.zeros((0, 4)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4 hello")
    (tmp_path / "empty.npy").touch()
    expected = {
        "cube.npy": "(2, 2, 2)", "none.npy": "T >= 1", "words.npy": "expected numbers",
        "pickled.npy": "holds pickled objects", "text.npy": "text.npy: ", "cut.npz": "cut.npz: ",
        "empty.npy": "empty.npy: ", "gone.npy": "no such file", "a.txt": "expected a file .npy",
    }  # fmt: skip
    for name, reason in expected.items():
        found = read(tmp_path / name)
        assert isinstance(found, str), name
        assert reason in found


def test_a_path_may_not_leave_the_root(tmp_path):
    np.save(tmp_path / "secret.npy", np.ones(3))
    (tmp_path / "data").mkdir()
    for cell in ("../secret.npy", str(tmp_path / "secret.npy")):
        assert "leaves the folder" in read_array({"words": cell}, tmp_path / "data", NEED)


def test_an_archive_of_several_arrays_needs_a_key(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3)), y=np.zeros((2, 3)))
    assert "holds x, y; choose one with -o key=NAME" in read(tmp_path / "a.npz")
    assert read(tmp_path / "a.npz", key="y").sum() == 0
    assert "no array 'z'; found x, y" in read(tmp_path / "a.npz", key="z")


def test_the_width_must_be_the_recipes():
    backbone = Arrays(ArraysOptions("words", dim=4))
    with pytest.raises(MediaError, match=r"expected \(T, 4\) as in the recipe, found \(2, 3\)"):
        backbone.prepare(Media(array=np.ones((2, 3))))


def test_without_a_column_or_a_width_the_option_is_named():
    with pytest.raises(OptionError, match="-o column=NAME"):
        Arrays.recipe(ArraysOptions())
    with pytest.raises(OptionError, match="-o dim=D"):
        Arrays.recipe(ArraysOptions("words"))


@pytest.fixture
def manifest(tmp_path):
    for number, width in enumerate([3, 3, 5]):
        np.save(tmp_path / f"{number}.npy", np.full((number + 1, width), number))
    lines = ["id,text,words", *(f"c{k},hello there,{k}.npy" for k in range(3)), "c3,hello,"]
    path = tmp_path / "m.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_one_decode_serves_arrays_and_others_and_each_failure_is_its_own(emo, manifest, tmp_path):
    code, out, _ = emo(
        "extract", "m.csv", "--backbone", "classic", "--backbone", "arrays:words", "-o",
        "words.column=words",
    )  # fmt: skip
    assert code == 3
    assert "c2 (words): column 'words': expected (T, 3) as in the recipe, found (3, 5)" in out
    assert "c3 (words): words: the clip has no array in the column 'words'" in out
    store = Store(tmp_path / "features")
    assert list(store.ids("words")) == ["c0", "c1"]
    assert list(store.ids("classic")) == ["c0", "c1", "c2", "c3"]
    assert store.read("words/words").values.dtype == np.float32


def test_a_column_that_no_clip_fills_is_named(emo, manifest):
    code, _, error = emo("extract", "m.csv", "--backbone", "arrays", "-o", "column=wrods")
    assert code == 1
    assert "no clip has anything in a column 'wrods'" in error


def test_a_changed_array_makes_its_clip_stale_and_labels_do_not(manifest, tmp_path):
    clip = read_manifest(manifest).clips[0]
    before = source_hash(clip, tmp_path)
    np.save(tmp_path / "0.npy", np.zeros((7, 3)))
    assert source_hash(clip, tmp_path) != before
    plain, labelled = Clip("a", text="x"), Clip("a", text="x", targets={"label": "joy"})
    assert source_hash(plain, tmp_path) == source_hash(labelled, tmp_path)
