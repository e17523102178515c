"""Arrays that somebody else wrote: padding is cut off by lengths, and refused without them."""

import h5py
import numpy as np
import pytest

from emo.errors import OptionError, StoreError
from emo.extract.job.repeat_recipes import requests_of_recipes
from emo.store import Store
from emo.store.exchange.transfer import import_file

IDS = np.array(["a", "b", "c"])
LENGTHS = np.array([2, 4, 0])


def padded(front=False):
    array = np.zeros((3, 4, 5), np.float32)
    for clip, length in enumerate(LENGTHS):
        where = slice(4 - length, None) if front else slice(0, length)
        array[clip, where] = clip + 1
    return array


def brought(tmp_path, arrays, *options, name="npz"):
    file = tmp_path / "old.npz"
    np.savez(file, **arrays)
    report = import_file(name, file, tmp_path / "store", options=options)
    return Store(tmp_path / "store").recipes["old"], report


def test_padding_is_cut_off_and_never_read_as_tokens(tmp_path):
    arrays = {"ids": IDS, "audio": padded(), "audio_lengths": LENGTHS, "labels": np.arange(3)}
    pooled = {"video": np.ones((3, 7))}
    folder, report = brought(tmp_path, arrays | pooled)
    found = folder.read("audio", ["a", "b", "c"])
    assert found.lengths.tolist() == [2, 4, 0]
    assert found[0].tolist() == [[1] * 5] * 2
    assert folder.read("video", ["c"]).values.tolist() == [[1] * 7]
    assert set(folder.absent) == {"c"}
    assert "labels in the file: labels" in report.table()


def test_lengths_from_before_a_cut_are_cut_too(tmp_path):
    arrays = {"ids": IDS, "audio": padded(), "audio_lengths": [2, 9, 0]}
    folder, _ = brought(tmp_path, arrays)
    assert folder.read("audio", ["a", "b"]).lengths.tolist() == [2, 4]


def test_padding_in_front_is_said_by_option(tmp_path):
    arrays = {"ids": IDS, "audio": padded(front=True), "audio_lengths": LENGTHS}
    with pytest.raises(StoreError, match=r"clip 0 has numbers beyond its 2 tokens.*padding=front"):
        brought(tmp_path, arrays)
    folder, _ = brought(tmp_path, arrays, "padding=front")
    assert (folder.read("audio", ["b"]).values == 2).all()


def test_padded_tokens_without_lengths_are_refused(tmp_path):
    with pytest.raises(StoreError, match=r"audio \(3, 4, 5\): padded tokens without lengths"):
        brought(tmp_path, {"ids": IDS, "audio": padded()})
    arrays = {"ids": IDS, "audio": padded(), "how_long": LENGTHS}
    folder, _ = brought(tmp_path, arrays, "lengths=how_long")
    assert folder.read("audio", ["b"]).lengths.tolist() == [4]


def test_ids_are_needed_unique_and_may_have_another_name(tmp_path):
    arrays = {"who": IDS, "x": np.ones((3, 2))}
    with pytest.raises(StoreError, match=r"no clip ids: .*found who \(3,\), x \(3, 2\)"):
        brought(tmp_path, arrays)
    with pytest.raises(StoreError, match="holds clip 'a' twice"):
        brought(tmp_path, {"ids": np.array(["a", "a", "b"]), "x": np.ones((3, 2))})
    folder, _ = brought(tmp_path, arrays, "ids=who")
    assert list(folder.ids) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((4, 2))}, "expected 3 rows, one for each clip"),
        ({"x": np.ones((4, 2)), "x_lengths": [1, 1, 1]}, "expected 3 rows, the sum of its lengths"),
        ({"x": np.ones((4, 2)), "x_lengths": [1, 3]}, "expected 3 whole numbers for 3 clips"),
        ({"x_values": np.ones((4, 2)), "x_offsets": [0, 3, 2, 4]}, "lengths >= 0"),
        ({"x": np.array(["a"] * 3)}, "no tokens"),
    ],
)
def test_shapes_that_disagree_are_named(tmp_path, arrays, message):
    with pytest.raises(StoreError, match=message):
        brought(tmp_path, {"ids": IDS, **arrays})


def test_numbers_that_are_not_finite_are_failures_of_their_clips(tmp_path, emo):
    values = np.ones((3, 2), np.float32)
    values[1, 0] = np.nan
    np.savez(tmp_path / "old.npz", ids=IDS, x=values)
    code, out, _ = emo("store", "import", "npz", "old.npz")
    assert code == 3
    assert "2 clips of old.npz -> features/old" in out
    assert "failed: b: clip 'b', stream 'x': token 0 of 1 is not finite" in out
    code, out, _ = emo("store", "import", "npz", "old.npz")
    assert (code, "0 clips of old.npz" in out, "failed: b: clip 'b'" in out) == (3, True, True)


def test_new_clips_cannot_have_the_numbers_of_an_imported_recipe(tmp_path):
    folder, _ = brought(tmp_path, {"ids": IDS, "x": np.ones((3, 2))})
    with pytest.raises(OptionError, match=r"recipe 'old' was imported from old\.npz"):
        requests_of_recipes({"old": folder.recipe}, document="run.json")


def test_a_pickle_inside_an_npz_is_not_opened(tmp_path):
    np.savez(tmp_path / "old.npz", ids=np.array(["a", None], dtype=object))
    with pytest.raises(StoreError, match=r"not an .npz of plain arrays: .*allow_pickle=False"):
        import_file("npz", tmp_path / "old.npz", tmp_path / "store")


def test_hdf5_that_leads_into_other_files_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones((3, 2))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["ids"] = ["a", "b", "c"]
        file["x"] = h5py.ExternalLink("other.h5", "/secret")
    with pytest.raises(StoreError, match="refused: x is a link, which may lead to another file"):
        import_file("hdf5", tmp_path / "link.h5", tmp_path / "store")
    layout = h5py.VirtualLayout((3, 2), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (3, 2))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file["ids"] = ["a", "b", "c"]
        file.create_virtual_dataset("x", layout)
    with pytest.raises(StoreError, match="refused: x has its data in another file"):
        import_file("hdf5", tmp_path / "virtual.h5", tmp_path / "store")


def test_a_cut_hdf5_is_one_line(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["ids"] = [f"c{k}" for k in range(2000)]
        file["x"] = np.ones((2000, 50))
    data = (tmp_path / "x.h5").read_bytes()
    (tmp_path / "x.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match=r"not an HDF5 file|cannot be read"):
        import_file("hdf5", tmp_path / "x.h5", tmp_path / "store")


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"absent": {"a": 1}}', '{"notes": {"a": {"b": "c"}}}']
)
def test_a_document_that_emo_did_not_write_is_refused(text, tmp_path):
    np.savez(tmp_path / "x.npz", ids=IDS, x=np.ones((3, 2)), emo=text)
    with pytest.raises(StoreError, match="its member 'emo' is not"):
        import_file("npz", tmp_path / "x.npz", tmp_path / "store")


def test_hdf5_of_others_with_groups_is_read(tmp_path):
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["names"] = ["a", "b", "c"]
        file["audio/values"] = np.arange(12.0).reshape(6, 2)
        file["audio/lengths"] = [1, 2, 3]
    import_file("hdf5", tmp_path / "old.h5", tmp_path / "store")
    folder = Store(tmp_path / "store").recipes["old"]
    assert folder.read("audio", ["c"]).values.tolist() == [[6, 7], [8, 9], [10, 11]]


def test_arrays_that_are_called_as_labels_are_are_never_a_stream(tmp_path):
    onehot = np.eye(3, dtype=np.float32)
    arrays = {
        "ids": IDS,
        "audio": np.ones((3, 2)),
        "labels": onehot,
        "all_targets": np.ones((3, 99)),
    }
    folder, report = brought(tmp_path, arrays)
    assert list(folder.recipe.streams) == ["audio"]
    assert report.cells["b"] == {"labels_0": "0", "labels_1": "1", "labels_2": "0"}
    assert "left out: all_targets (3, 99); called as labels are" in report.table()
