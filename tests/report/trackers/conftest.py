"""Runs whose clips, people and folders have names that no tracker may get."""

import pytest

from emo.heads.fitting.fit import FitOptions, fit_head
from emo.heads.fitting.folds.cross_validate import cross_validate
from emo.manifest import read_manifest
from tests.make_batches import learnable, make_store

PRIVATE = ("clip-of-ann", "Ann Lee", "Bo Ek", "secret-folder")
"""Parts of ids, of speakers' names and of paths."""


@pytest.fixture(scope="session")
def tracked(tmp_path_factory):
    """A folder with the runs ``fit`` of two seeds and ``folds`` by speaker."""
    folder = tmp_path_factory.mktemp("tracked") / "secret-folder"
    (folder / "media").mkdir(parents=True)
    labels, tokens = learnable(90, streams=("a", "b"))
    tokens = {f"clip-of-ann-{row}": each for row, each in enumerate(tokens.values())}
    store = make_store(folder / "features", tokens)
    rows = [f"{clip},x,{label},{'train' if n < 50 else 'val' if n < 70 else 'test'},"
            f"{('Ann Lee', 'Bo Ek')[n % 2]}"
            for n, (clip, label) in enumerate(zip(tokens, labels, strict=True))]  # fmt: skip
    (folder / "m.csv").write_text("\n".join(["id,text,label,split,speaker", *rows]) + "\n")
    manifest = read_manifest(folder / "m.csv", root=folder / "media")
    options = FitOptions.of(head="mean_pool", epochs=3, seeds=2, threads=1, missing=True)
    with pytest.MonkeyPatch.context() as patched:
        for module in ("write", "write_folds"):
            for name in ("plot_confusion", "plot_curves"):
                patched.setattr(f"emo.heads.runs.{module}.{name}", lambda *_: None, raising=False)
        runs = folder / "runs"
        fit_head(manifest, [store], runs / "fit", options)
        ridge = {"solver": "ridge"}
        linear = FitOptions("linear", ridge, seeds=3, threads=1, streams=("fake/a",))
        cross_validate(manifest, [store], runs / "folds", linear, by="speaker")
        fit_head(manifest, [store], folder / "exact", linear)
    return folder
