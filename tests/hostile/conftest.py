"""A store with one recipe, and a run, in a scratch folder."""

import pytest

from tests.make_batches import learnable, make_store
from tests.store.conftest import commit, folder, store

__all__ = ["commit", "folder", "store"]


@pytest.fixture
def run(emo, tmp_path):
    """A run of a linear head, with its manifest m.csv and its store s in the current folder."""
    labels, tokens = learnable(30)
    make_store(tmp_path / "s", tokens)
    rows = "".join(f"c{row},x,{label}\n" for row, label in enumerate(labels))
    (tmp_path / "m.csv").write_text("id,text,label\n" + rows)
    code, _, err = emo("fit-head", "m.csv", "--features", "s", "--head", "linear", "--out", "run")
    assert code == 0, err
    return tmp_path / "run"
