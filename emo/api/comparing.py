"""Compare runs and score predictions from Python, as `emo compare` and `emo score` do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from emo.api.runs import FittedRun
from emo.heads.runs.compare import Comparison, compare_runs
from emo.score.report import ScoreReport
from emo.score.score import ScoreOptions, score

if TYPE_CHECKING:
    import pandas as pd


class RankedRuns:
    """Ranked runs, and the difference of two of them."""

    def __init__(self, comparison: Comparison) -> None:
        """Remember the comparison."""
        self.comparison = comparison

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a run, the best first within its target."""
        import pandas as pd

        over = self.comparison.interval_over
        return pd.DataFrame([run.row(over) for run in self.comparison.runs])

    @property
    def notes(self) -> list[str]:
        """What a reader of the scores must know."""
        return list(self.comparison.notes)

    def __repr__(self) -> str:
        """Return the table of `emo compare`."""
        return self.comparison.table()

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)


def compare(
    runs: "Sequence[str | Path | FittedRun]",
    *,
    pair: "tuple[str | Path | FittedRun, str | Path | FittedRun] | None" = None,
    target: str | None = None,
    seed: int = 0,
    interval_over: str = "",
) -> RankedRuns:
    """Rank runs by their scores, and test the difference of two.

    Args:
        runs: folders of runs, or runs.
        pair: the two runs whose difference is tested; None: the runs, if there are two.
        target: target that is compared; None: each run's first.
        seed: seed of the bootstrap.
        interval_over: ``clip``, ``dialogue`` or a column that intervals are drawn over; empty:
            dialogues where there are any.

    Raises:
        FitError: no run, a damaged run, or two runs without a common target or clip.
    """
    two = (_path(pair[0]), _path(pair[1])) if pair else None
    return RankedRuns(
        compare_runs(
            [_path(run) for run in runs],
            pair=two,
            target=target,
            seed=seed,
            interval_over=interval_over,
        )
    )


def score_predictions(
    predictions: "str | Path | FittedRun",
    gold: str | Path,
    *,
    metric: str | None = None,
    classes: Sequence[str] = (),
    columns: Mapping[str, str] = MappingProxyType({}),
    split: str | None = None,
    target: str | None = None,
    is_open: bool = False,
) -> ScoreReport:
    """Score predictions by official metrics, as `emo score` does.

    Args:
        predictions: a table, a JSON file, a run, or a folder of them.
        gold: the true labels: a table with ids, a manifest, or JSON.
        metric: a name of `emo list metrics`; None: by the labels.
        classes: all classes there are; empty: those of the labels.
        columns: columns under other names: ``id``, ``prediction``, ``gold_id``, ``label``.
        split: ``train``, ``val``, ``test`` or ``all``; None: test if there is one.
        target: target of a run; None: its first.
        is_open: count classes that the labels lack as wrong answers.

    Raises:
        EmoError: a file cannot be read, or lacks clips of the other.
    """
    options = ScoreOptions(metric, tuple(classes), columns, split, target, is_open)
    return score(_path(predictions), Path(gold), options)


def _path(run: "str | Path | FittedRun") -> Path:
    return run.path if isinstance(run, FittedRun) else Path(run)
