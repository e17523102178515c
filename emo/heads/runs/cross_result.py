"""What came of a cross-validation: the scores of each fold, and of all clips together."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.heads.data.data import Split
from emo.heads.data.targets import Target
from emo.heads.metrics.measures import TITLES
from emo.heads.metrics.scores import Scores
from emo.heads.runs.predictions import prediction_frame
from emo.heads.runs.result import FitResult
from emo.heads.training.outcome import Round
from emo.table import format_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FoldResult:
    """What stays of a fold when its heads are gone."""

    name: str
    counts: dict[str, int]
    """Clips of train, val and test."""
    test: Split
    """Without its tokens."""
    scores: dict[str, Scores]
    """Of test, by target of which it has a label."""
    missing: dict[str, dict[str, Scores]]
    """The same with streams taken away, by target and variant."""
    history: tuple[Round, ...]

    def metrics_of(self, target: str) -> dict[str, Any]:
        """See :meth:`Scores.to_json`, without an interval; empty: nothing in it has a label."""
        if target not in self.scores:
            return {}
        found = dataclasses.replace(self.scores[target], bootstrap_seed=None).to_json()
        return {name: found[name] for name in ("clips", "seeds", "mean", "std")}


@dataclass(frozen=True, eq=False)
class CrossResult:
    """A cross-validation: every clip was tested once, by heads that had not seen its group."""

    by: str
    how: str
    pooled: FitResult
    """The scores of the clips of all folds as one ``test``; its heads are those of fold 1."""
    folds: tuple[FoldResult, ...]

    @property
    def metrics(self) -> dict[str, Any]:
        """Of the first target, over all folds together."""
        found: dict[str, Any] = self.pooled.metrics["test"]
        return found

    def prediction_frame(self, target: Target) -> "pd.DataFrame":
        """As of a fit, with the column ``fold``."""
        import pandas as pd  # a second to import

        tables = []
        for fold in (fold for fold in self.folds if target.name in fold.scores):
            scores = fold.scores[target.name]
            table = prediction_frame(target, {"test": scores}, {"test": fold.test})
            table.insert(list(table).index("split") + 1, "fold", fold.name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def table(self) -> str:
        """A row a fold, their mean, and then the scores over all clips."""
        parts = [
            line
            for target in self.pooled.data.targets
            for line in (f"{target.name}: {self.how}", "", format_table(self._rows(target)), "")
        ]
        return "\n".join([*parts, "all folds together:", "", self.pooled.table()])

    def _rows(self, target: Target) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        means: list[dict[str, float]] = []
        names = self.pooled.all_metrics[target.name]["test"]["mean"]
        for fold in self.folds:
            found = fold.metrics_of(target.name)
            cells = dict.fromkeys(names, "–")
            if found:
                means.append(found["mean"])
                cells = {
                    name: f"{found['mean'][name]:.3f} ± {found['std'][name]:.3f}" for name in names
                }
            rows.append(_line(fold.name, fold.counts, cells))
        table = {name: np.array([mean[name] for mean in means]) for name in names}
        spread = {name: values.std(ddof=1) if len(values) > 1 else 0.0 for name, values in
                  table.items()}  # fmt: skip
        cells = {name: f"{table[name].mean():.3f} ± {spread[name]:.3f}" for name in names}
        return [*rows, _line(f"mean ± std of {len(means)} folds", {}, cells)]


def _line(fold: str, counts: Mapping[str, int], values: Mapping[str, str]) -> dict[str, object]:
    clips = {name: f"{counts[name]:,}" if counts else "" for name in ("train", "val", "test")}
    return {"fold": fold, **clips, **{TITLES[name]: value for name, value in values.items()}}
