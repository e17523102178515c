"""MERBench's folders of frames: joined by the value of their numbers, and said when unsure."""

import re

import numpy as np
import pytest

from emo.store import Store


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
