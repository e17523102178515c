"""What others find in our exports: xarray, MERBench's loader, MMSA's, pandas, h5py."""

import os
import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray

from emo.errors import StoreError
from emo.store import Store
from emo.store.exchange.transfer import export_file, import_file
from tests.contracts.test_formats import cells_of, fill, toy_clips
from tests.make_store import RECIPE


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "store", RECIPE, toy_clips())


@pytest.fixture
def export(folder, tmp_path):
    def export(name, *options, **wanted):
        out = tmp_path / f"out-{name}"
        cells = wanted.pop("cells", cells_of(folder))
        export_file(name, tmp_path / "store", out, cells=cells, options=options, **wanted)
        return out

    return export


def test_xarray_opens_the_zarr_with_named_dimensions(folder, export):
    with xarray.open_zarr(export("zarr")) as data:
        assert data["clip"].values.tolist() == list(folder.ids)
        assert data["audio"].dims == ("audio_token", "audio_dim")
        assert data["audio_length"].dims == ("clip",)
        np.testing.assert_array_equal(data["audio"].values, folder.read("audio").values)
        assert data["audio_length"].sel(clip="c3") == 0
        assert data["audio_length"].attrs["sample_dimension"] == "audio_token"


def test_a_zarr_chunk_that_was_lost_is_not_read_as_zeros(export, tmp_path):
    out = export("zarr")
    (out / "audio" / "c" / "0" / "0").unlink()
    with pytest.raises(StoreError, match="chunks of stream 'audio' are missing"):
        import_file("zarr", out, tmp_path / "back")


def read_as_merbench(root, name):
    """What func_read_one_feat of MERBench does with a clip."""
    feature = np.array([np.load(os.path.join(root, name + ".npy")).squeeze()]).squeeze()
    return feature[np.newaxis, :] if feature.ndim == 1 else feature


def test_merbench_reads_names_shapes_and_labels(folder, export):
    out = export("mertools", "classes=anger,joy")
    features = out / "features"
    assert sorted(f.name for f in features.iterdir()) == ["audio-FRA", "face-FRA", "text-UTT"]
    corpora = np.load(out / "label.npz", allow_pickle=True)
    assert set(corpora.files) == {"train_corpus", "val_corpus", "test_corpus"}
    names = [name for key in corpora.files for name in corpora[key].tolist()]
    assert sorted(names) == sorted(folder.ids)
    assert corpora["train_corpus"].tolist()["c0"] == {"emo": 1, "val": -10}
    assert np.load(features / "text-UTT" / "c0.npy").shape == (5,)
    for name in names:
        if name not in folder.absent:
            tokens = read_as_merbench(features / "audio-FRA", name)
            np.testing.assert_array_equal(tokens, folder.read("audio", [name])[0])
            assert read_as_merbench(features / "text-UTT", name).shape == (1, 5)


def test_merbench_gets_means_of_tokens_and_not_of_padding(folder, export):
    out = export("mertools", "means=true")
    found = np.load(out / "features" / "audio-UTT" / "c1.npy")
    expected = folder.read("audio", ["c1"])[0].astype(np.float32).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_merbench_folders_of_others_are_read_without_their_pickle(tmp_path):
    for folder, shape in (("wav2vec-UTT", (6,)), ("clip-FRA", (3, 4))):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for name in ("b", "a"):
            np.save(tmp_path / "data" / folder / f"{name}.npy", np.ones(shape, np.float32))
    (tmp_path / "data" / "label.npz").write_bytes(pickle.dumps(os.system))
    import_file("mertools", tmp_path / "data", tmp_path / "store")
    recipe = Store(tmp_path / "store").recipes["data"]
    assert list(recipe.ids) == ["a", "b"]
    assert recipe.read("wav2vec").lengths.tolist() == [1, 1]
    assert recipe.read("clip").lengths.tolist() == [3, 3]


def test_clip_ids_become_file_names_that_stay_inside(tmp_path):
    hostile = ["../../up", "/etc/x", "a/b", "..", "."]
    clips = {i: {"audio": np.ones((1, 8), np.float16)} for i in hostile}
    fill(tmp_path / "store", RECIPE, clips)
    export_file("mertools", tmp_path / "store", tmp_path / "out", streams=["audio"])
    files = [file for file in (tmp_path / "out").rglob("*.npy")]
    assert {file.parent for file in files} == {tmp_path / "out" / "features" / "audio-UTT"}
    assert len(files) == len(hostile)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["out", "store"]


def test_mmsa_reads_padded_arrays_lengths_and_labels(folder, export):
    numbers = {i: {**row, "label": "-1.5"} for i, row in cells_of(folder).items()}
    with open(export("mmsa", cells=numbers), "rb") as file:
        data = pickle.load(file)
    train = data["train"]
    assert set(data) >= {"train", "valid", "test"}
    assert train["audio"].shape == (3, 4, 8)
    assert train["audio_lengths"] == [1, 0, 3]
    assert not train["audio"][0, 1:].any()
    np.testing.assert_array_equal(train["regression_labels"], np.full(3, -1.5, np.float32))
    assert train["raw_text"] == ["hi"] * 3


def test_mmsa_without_splits_is_refused(export):
    with pytest.raises(StoreError, match=r"9 clips in no split.*give --manifest"):
        export("mmsa", cells=None)


def test_pandas_reads_the_parquet(folder, export):
    table = pd.read_parquet(export("parquet")).set_index("id")
    assert table["audio"]["c3"] is None
    assert table["label"].tolist() == ["joy"] * 9
    assert table["split"]["c1"] == "val"
    np.testing.assert_array_equal(np.stack(table["face"]["c0"]), folder.read("face", ["c0"])[0])


def test_parquet_of_others_with_one_vector_a_clip(tmp_path):
    pd.DataFrame({"name": ["a", "b"], "x": [[1.0, 2.0], [3.0, 4.0]], "label": ["joy", "fear"]}
    ).to_parquet(tmp_path / "old.parquet")  # fmt: skip
    report = import_file("parquet", tmp_path / "old.parquet", tmp_path / "store")
    assert "labels in the file: label (--manifest FILE writes them)" in report.table()
    options = {"recipe": "again", "wants_labels": True}
    report = import_file("parquet", tmp_path / "old.parquet", tmp_path / "store", **options)
    assert Store(tmp_path / "store").read("old/x").values.tolist() == [[1, 2], [3, 4]]
    assert report.cells == {"a": {"label": "joy"}, "b": {"label": "fear"}}


def test_labels_beside_arrays_are_not_tokens_but_cells(tmp_path):
    arrays = {"ids": ["a", "b"], "x": np.ones((2, 3)), "emotion": ["joy", "fear"]}
    np.savez(tmp_path / "x.npz", **arrays, label=np.array([[1], [0]]))
    report = import_file("npz", tmp_path / "x.npz", tmp_path / "store", wants_labels=True)
    assert report.cells["a"] == {"emotion": "joy", "label": "1"}
    assert list(Store(tmp_path / "store").recipes["x"].recipe.streams) == ["x"]


def test_h5py_reads_groups_with_offsets(folder, export):
    with h5py.File(export("hdf5")) as file:
        assert file["ids"].asstr()[:].tolist() == list(folder.ids)
        offsets = file["audio/offsets"][:]
        np.testing.assert_array_equal(np.diff(offsets), folder.read("audio").lengths)
        np.testing.assert_array_equal(file["audio/values"][:], folder.read("audio").values)
