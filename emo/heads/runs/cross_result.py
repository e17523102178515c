"""The result of a cross-validation: scores of each fold, and of the clips of all folds together."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.heads.data.data import Split
from emo.heads.data.targets import Target
from emo.heads.metrics.measures import title_of
from emo.heads.metrics.scores import Scores
from emo.heads.runs.files import known_number
from emo.heads.runs.predictions import prediction_frame
from emo.heads.runs.result import FitResult
from emo.heads.training.outcome import Choice, Round
from emo.machine.table import format_table, with_spread

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FoldResult:
    """The result of one fold, without weights and tokens."""

    name: str
    """Name of the fold."""
    counts: dict[str, int]
    """Numbers of clips in train, val and test."""
    test: Split
    """The tested clips, without tokens."""
    scores: dict[str, Scores]
    """Scores on test by target; a target without any label there is missing."""
    missing: dict[str, dict[str, Scores]]
    """Scores on test without some streams, by target and variant of ``--missing``."""
    history: tuple[Round, ...]
    """Rounds of all seeds; of an exact head those of the first, because all seeds give them."""
    choice: Choice | None = None
    """How the fold's head joins streams, if its fit chose it."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """Options of the head that the fold's fit chose on val."""

    def metrics_of(self, target: str) -> dict[str, Any]:
        """Return clips, seeds, mean and std of :meth:`Scores.to_json` for one target.

        The result is empty if no clip of the fold has a label.
        """
        if target not in self.scores:
            return {}
        found = dataclasses.replace(self.scores[target], bootstrap_seed=None).to_json()
        return {name: found[name] for name in ("clips", "seeds", "mean", "std")}


@dataclass(frozen=True, eq=False)
class CrossResult:
    """The result of a cross-validation, in which heads tested clips that they had not seen."""

    by: str
    """The column or number of folds, as typed after ``--cv``."""
    how: str
    """How the folds were made, in words."""
    pooled: FitResult
    """Scores of the clips of all folds as one ``test``; its outcomes are those of the first fold.
    """
    folds: tuple[FoldResult, ...]
    """Results of the folds, in order."""

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores of the first target over all folds together, see :meth:`Scores.to_json`."""
        found: dict[str, Any] = self.pooled.metrics["test"]
        return found

    def prediction_frame(self, target: Target) -> "pd.DataFrame":
        """Return the predictions of one target in all folds, with the column ``fold``.

        The other columns are those of
        :func:`emo.heads.runs.predictions.prediction_columns`.
        """
        import pandas as pd  # a second to import

        tables = []
        for fold in (fold for fold in self.folds if target.name in fold.scores):
            scores = self.pooled.written_scores(fold.scores[target.name])
            table = prediction_frame(
                target, {"test": scores}, {"test": fold.test},
                all_classes=self.pooled.options.all_probabilities,
            )  # fmt: skip
            table.insert(list(table).index("split") + 1, "fold", fold.name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def table(self) -> str:
        """Return the scores of each fold, their mean, and the scores over all clips, as text."""
        parts = [
            line
            for target in self.pooled.data.targets
            for line in (f"{target.name}: {self.how}", "", format_table(self._rows(target)), "")
        ]
        return "\n".join([*parts, "all folds together:", "", self.pooled.table()])

    def _rows(self, target: Target) -> list[dict[str, object]]:
        """Return a row for each fold, and one for the mean over folds."""
        rows: list[dict[str, object]] = []
        means: list[dict[str, float]] = []
        names = self.pooled.all_metrics[target.name]["test"]["mean"]
        for fold in self.folds:
            found = fold.metrics_of(target.name)
            cells = dict.fromkeys(names, "–")
            if found:
                mean, std = (
                    {name: known_number(value) for name, value in found[key].items()}
                    for key in ("mean", "std")
                )
                means.append(mean)
                cells = {name: with_spread(mean[name], std[name], 2) for name in names}
            rows.append(_line(fold.name, fold.counts, cells))
        table = {name: np.array([mean[name] for mean in means]) for name in names}
        spread = {name: values.std(ddof=1) if len(values) > 1 else 0.0 for name, values in
                  table.items()}  # fmt: skip
        cells = {name: with_spread(table[name].mean(), spread[name], 2) for name in names}
        return [*rows, _line(f"mean ± std of {len(means)} folds", {}, cells)]


def _line(fold: str, counts: Mapping[str, int], values: Mapping[str, str]) -> dict[str, object]:
    """Return one row of the table of folds."""
    clips = {name: f"{counts[name]:,}" if counts else "" for name in ("train", "val", "test")}
    return {"fold": fold, **clips, **{title_of(name): value for name, value in values.items()}}
