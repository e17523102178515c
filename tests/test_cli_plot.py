"""`emo plot` and the flags of `emo compare` as they are typed."""

import json

import pytest

from emo.heads.fitting.fit import fit_head
from tests.heads.conftest import QUICK, SPLITS
from tests.make_batches import learnable, make_manifest, make_store


@pytest.fixture
def runs(tmp_path):
    labels, tokens = learnable(120)
    store = make_store(tmp_path / "features", tokens)
    manifest = make_manifest(labels, split=SPLITS)
    for name, epochs in (("a", 1), ("b", 2)):
        fit_head(manifest, [store], tmp_path / "runs" / name, QUICK.replace(epochs=epochs))


@pytest.mark.usefixtures("runs")
def test_figures_and_tables_as_typed(emo, tmp_path):
    code, out, _ = emo("plot", "confusion", "runs/a", "--out", "c.pdf", "--width", 3.3,
                       "--height", 3, "--normalize", "pred", "--title", "none")  # fmt: skip
    assert (code, out) == (0, "wrote c.pdf\n")
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
    code, _, err = emo("plot", "curves", "runs/a", "--out", "c.jpg")
    assert (code, "ends in .pdf, .svg, .png" in err) == (1, True)
    code, _, err = emo("plot", "curves", "runs/b", "--out", "c.svg", "--width", 0)
    assert (code, "expected 0.5 to 100 inches" in err) == (1, True)
    code, out, _ = emo("compare", "runs/a", "runs/b", "--baseline", "runs/a", "--json")
    assert (code, json.loads(out)["baseline"]) == (0, "runs/a")
    assert emo("compare", "runs/a", "runs/b", "--csv")[1].startswith("run,target,head,")
    code, _, err = emo("compare", "runs/a", "runs/b", "--csv", "--latex")
    assert (code, "expected one of them" in err) == (2, True)
