"""Labels of somebody else's manifest that matplotlib would read as formulas."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emo.api.runs import Plots
from emo.heads.fitting.fit import FitOptions
from emo.heads.runs.figures import canvas, plots

pytestmark = pytest.mark.usefixtures("drawn")
LABELS = ("$\\frac{$", "$\\sum$$", "$x$", "a\nb", "\x1b[31m", "x" * 10_000, "{}%s", "")


def _result(metrics, scores):
    return SimpleNamespace(
        all_scores={LABELS[0]: {"test": scores}}, options=FitOptions("linear"),
        all_metrics={LABELS[0]: {"test": {"mean": metrics}}},
    )  # fmt: skip


def test_the_confusion_is_drawn(tmp_path):
    scores = SimpleNamespace(confusion=np.eye(len(LABELS), dtype=int), seeds=(0,))
    target = SimpleNamespace(name=LABELS[0], classes=LABELS)
    result = _result({"weighted_f1": 1.0, "uar": 1.0}, scores)
    plots.plot_confusion(tmp_path / "a.png", result, target)
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize("name", LABELS)
def test_numbers_are_drawn(tmp_path, name):
    numbers = np.arange(3.0)
    scores = SimpleNamespace(labels=numbers, predictions=numbers[None])
    result = _result({"mae": 1.0, "pearson": None}, scores)
    for kept in (result.all_scores, result.all_metrics):
        kept[name] = kept[LABELS[0]]
    plots.plot_numbers(tmp_path / "a.png", result, SimpleNamespace(name=name))
    assert (tmp_path / "a.png").is_file()


def test_plots_of_a_notebook_are_drawn():
    shares = pd.DataFrame(np.eye(2), index=list(LABELS[:2]), columns=list(LABELS[:2]))
    run = SimpleNamespace(confusion_of=lambda *_, **__: shares)
    axes = Plots(run).confusion(ax=canvas.new_figure(4, 4)[1])
    axes.figure.canvas.draw()
