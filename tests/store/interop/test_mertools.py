"""MERBench's folders of frames: joined by the value of their numbers, and said when unsure."""

import os
import re

import numpy as np
import pytest

from emo.errors import StoreError
from emo.store import Recipe, Store, StreamSpec
from tests.contracts.test_formats import fill
from tests.store.interop.bring import bring, send


def frames(tmp_path, *stems):
    folder = tmp_path / "mer" / "clip-FRA" / "v1"
    folder.mkdir(parents=True)
    for stem in stems:
        number = int(re.findall(r"\d+", f"0{stem}")[-1])
        np.save(folder / f"{stem}.npy", np.full(2, number, np.float32))


@pytest.mark.parametrize("stem", ["{}", "frame_{}", "v1-f{}.jpg", "{:03}"])
def test_frames_are_joined_in_their_natural_order(tmp_path, emo, stem):
    frames(tmp_path, *[stem.format(k) for k in (1, 2, 9, 10, 11, 100)])
    code, out, err = emo("store", "import", "mertools", "mer", "--out", "st")
    assert code == 0, err
    assert "order" not in out
    values = Store(tmp_path / "st").recipes["mer"].read("clip").values
    assert values[:, 0].tolist() == [1, 2, 9, 10, 11, 100]


@pytest.mark.parametrize(
    "stems", [("a", "b"), ("1", "01"), ("a1", "b2"), ("1_2", "2_1"), ("1", "x")]
)
def test_an_order_that_names_do_not_tell_is_said(tmp_path, emo, stems):
    frames(tmp_path, *stems)
    code, out, err = emo("store", "import", "mertools", "mer", "--out", "st")
    assert code == 0, err
    assert "the order of the frames is not certain in 1 folders" in " ".join(out.split())


@pytest.fixture
def labelled(tmp_path):
    """A store of ten clips with IEMOCAP's names and MER2023's test sets."""
    recipe = Recipe("toy", {"audio": StreamSpec(3, "float32")})
    clips = {f"Ses0{1 + k % 5}F_impro{k}": {"audio": np.full((2, 3), k)} for k in range(10)}
    fill(tmp_path / "store", recipe, clips)
    return {
        clip_id: {
            "split": "train" if k < 6 else "test", "label": ("happy", "sad")[k % 2],
            "test_set": f"test{1 + k % 3}" if k > 5 else "",
        }
        for k, clip_id in enumerate(clips)
    }  # fmt: skip


def labels_of(file, corpus):
    """What read_names_labels of MERBench's loaders does (toolkit/dataloader/mer2023.py)."""
    return np.load(file, allow_pickle=True)[f"{corpus}_corpus"].tolist()


def test_the_loader_of_mer2023_finds_its_names(tmp_path, labelled):
    out = send(tmp_path, "mertools", "loader=MER2023", cells=labelled)
    found = {
        name: labels_of(out / "label-6way.npz", name)
        for name in ("train", "test1", "test2", "test3")
    }
    assert {name: len(each) for name, each in found.items()} == {
        "train": 6, "test1": 2, "test2": 1, "test3": 1,
    }  # fmt: skip
    assert found["train"]["Ses01F_impro0"] == {"emo": "happy", "val": -10}
    labelled["Ses01F_impro0"]["split"] = "val"
    with pytest.raises(
        StoreError, match=r"loader MER2023 knows \(train, test1, test2, test3\), got"
    ):
        send(tmp_path, "mertools", "loader=MER2023", cells=labelled, name="again")


@pytest.mark.parametrize("loader", ["IEMOCAPFour", "IEMOCAPSix"])
def test_the_loader_of_iemocap_finds_the_whole_corpus_and_five_sessions(tmp_path, labelled, loader):
    options = [f"loader={loader}", "classes=happy,sad"]
    out = send(tmp_path, "mertools", *options, cells=labelled)
    ways = {"IEMOCAPFour": "4", "IEMOCAPSix": "6"}[loader]
    whole = labels_of(out / f"label_{ways}way.npz", "whole")
    assert len({int(name[4]) - 1 for name in whole}) == 5
    assert {each["emo"] for each in whole.values()} == {0, 1}


def test_labels_of_merbench_come_back(tmp_path, labelled):
    out = send(tmp_path, "mertools", "loader=MER2023", cells=labelled)
    (out / "emo.json").unlink()  # as in a folder that MERBench's own scripts wrote
    with pytest.raises(StoreError, match=r"label-6way.npz is a pickle.*--allow-pickle"):
        bring(tmp_path, "mertools", out, wants_labels=True)
    _, report = bring(tmp_path, "mertools", out)
    assert "label-6way.npz is a pickle; --allow-pickle reads its labels" in report.table()
    options = {"recipe": "b", "wants_labels": True, "allow_pickle": True}
    _, report = bring(tmp_path, "mertools", out, **options)
    assert report.cells["Ses05F_impro9"] == labelled["Ses05F_impro9"] | {"valence": ""}


def test_a_label_file_that_calls_a_function_is_refused(tmp_path, labelled):
    out = send(tmp_path, "mertools", cells=None)
    (out / "emo.json").unlink()
    np.savez(out / "label.npz", train_corpus=np.array({"a": Attack()}, dtype=object))
    with pytest.raises(StoreError, match=r"refused: the pickle asks for posix.system"):
        bring(tmp_path, "mertools", out, allow_pickle=True)


class Attack:
    def __reduce__(self):
        return os.system, ("echo owned",)
