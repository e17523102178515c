"""Fixtures of the tests of fitting: clips that can be learnt, and a run fitted on them."""

import dataclasses

import pytest

from emo.heads.fitting.fit import FitOptions, fit_head
from tests.make_batches import learnable, make_manifest, make_store

SPLITS = ["train"] * 60 + ["val"] * 30 + ["test"] * 30
QUICK = FitOptions.of(head="mean_pool", epochs=15, learning_rate=5e-3, seeds=2, threads=1)


def quick(head, solver="ridge"):
    """Return QUICK for another head; a head that is solved has no options of steps.

    The solver is that of the head `linear`; lbfgs, its default, takes 20 times as long.
    """
    if head == "linear":
        few = {"solver": solver, "penalties": "3", "fusion": "late"}  # of 11 and all
        return FitOptions(head=head, head_options=few, seeds=QUICK.seeds, threads=QUICK.threads)
    return dataclasses.replace(QUICK, head=head)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    labels, tokens = learnable(120, streams=("a", "b"))
    for row in (7, 95):
        del tokens[f"c{row}"]["b"]
    store = make_store(tmp_path_factory.mktemp("fit") / "features", tokens)
    return make_manifest(labels, split=SPLITS), store


@pytest.fixture(scope="module")
def fitted(made, tmp_path_factory):
    manifest, store = made
    return fit_head(manifest, [store], tmp_path_factory.mktemp("runs") / "x" / "y", QUICK)


@pytest.fixture
def without_plots(monkeypatch):
    """Leave out plots, which take half the time of a small run and have tests of their own."""
    _leave_out_plots(monkeypatch)


@pytest.fixture(scope="module")
def module_without_plots():
    """Leave out plots of a whole module, those of its fixtures too."""
    with pytest.MonkeyPatch.context() as patched:
        _leave_out_plots(patched)
        yield


def _leave_out_plots(patched):
    for module in ("write", "write_folds"):
        for name in ("plot_confusion", "plot_numbers", "plot_curves"):
            patched.setattr(f"emo.heads.runs.{module}.{name}", lambda *_: None, raising=False)
