"""The predictions of a run as arrays: labels, predictions of each seed, probabilities."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emo.errors import FitError, plural
from emo.heads.metrics import classes as metrics
from emo.heads.runs.comparing.scored_rows import numbers_of, rows_by_seed, with_others
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.machine.untrusted.documents import shortened
from emo.manifest.tasks import NONE, SEPARATOR

DECIMALS = 3
"""Number of decimals of scores."""


@dataclass(frozen=True, eq=False)
class RunRows:
    """The scored rows of a run: N rows, S seeds, C classes."""

    run: ScoredRun
    """The run."""
    ids: tuple[str, ...]
    """Id of the clip of each row."""
    causes: tuple[str, ...]
    """Id of the cause's clip of each row, for pairs; else empty."""
    seeds: tuple[str, ...]
    """The seeds."""
    names: tuple[str, ...]
    """Names of the classes, behind them those that the head did not learn; empty for a number."""
    labels: np.ndarray
    """int64 (N,) classes, int64 (N, C) of 0 and 1, or float64 (N,) numbers."""
    predictions: np.ndarray
    """Predictions of each seed, (S, N) or (S, N, C), like ``labels``."""
    probabilities: np.ndarray | None
    """float64 (S, N, C), in the order of ``run.target.classes``; None: the run has none of all."""
    best: np.ndarray | None
    """float64 (S, N), probability of the most probable class; None: not known."""

    @property
    def task(self) -> str:
        """Kind of target."""
        return self.run.target.task

    def __len__(self) -> int:
        """Return the number of rows N."""
        return len(self.ids)

    @functools.cached_property
    def row_of(self) -> dict[str, int]:
        """Id of a clip -> its (last) row."""
        return {clip_id: row for row, clip_id in enumerate(self.ids)}

    @functools.cached_property
    def is_right(self) -> np.ndarray:
        """bool (S, N): whether each seed's prediction equals the label; not for numbers."""
        equal = self.predictions == self.labels
        found: np.ndarray = equal.all(-1) if equal.ndim == 3 else equal
        return found

    @functools.cached_property
    def errors(self) -> np.ndarray:
        """float64 (N,): absolute error of a number, as the mean over seeds."""
        found: np.ndarray = np.abs(self.predictions - self.labels).mean(0)
        return found

    @functools.cached_property
    def mean_probabilities(self) -> np.ndarray | None:
        """float64 (N, C): probabilities as the mean over seeds; None: not known."""
        return None if self.probabilities is None else self.probabilities.mean(0)

    @functools.cached_property
    def decimals(self) -> int:
        """Number of decimals with which scores of the target are written."""
        return decimals_of(self.labels) if self.task == "regress" else DECIMALS

    @property
    def cell_decimals(self) -> int:
        """Number of decimals with which labels and predictions of numbers are written."""
        return 2 if self.decimals == DECIMALS else self.decimals

    @functools.cached_property
    def shown(self) -> np.ndarray:
        """The prediction that is shown for each row: that of the mean over seeds, like labels."""
        if self.task == "regress":
            return np.asarray(self.predictions.mean(0))
        mean = self.mean_probabilities
        first: np.ndarray = self.predictions[0]
        if mean is None:
            return first
        if self.task == "multilabel":
            return (mean > 0.5).astype(np.int64)
        is_absent = first >= len(self.run.target.classes)
        return np.where(is_absent, first, mean.argmax(-1))

    @functools.cached_property
    def confidence(self) -> np.ndarray | None:
        """float64 (N,): probability of the shown prediction; None: not known.

        Of several labels see :meth:`_confidence_of_labels`.
        """
        mean = self.mean_probabilities
        if mean is None:
            return None if self.best is None else self.best.mean(0)
        if self.task == "multilabel":
            return self._confidence_of_labels(mean)
        return np.asarray(mean.max(-1))

    def _confidence_of_labels(self, mean: np.ndarray) -> np.ndarray:
        """Return float64 (N,): how sure the head is of the wrong label of which it is surest.

        Where all labels of a row are right, it is how sure the head is of the least sure one.

        Args:
            mean: float64 (N, C), probability of each label.
        """
        sure = np.abs(mean - 0.5) + 0.5
        wrong = np.where(self.shown != self.labels, sure, 0.0).max(-1)
        return np.asarray(np.where(wrong > 0, wrong, sure.min(-1)))

    @functools.cached_property
    def label_probability(self) -> np.ndarray | None:
        """float64 (N,): probability of the label, 0 for one not learnt; None: not known."""
        mean = self.mean_probabilities
        if mean is None or self.task == "multilabel":
            return None
        wide = np.zeros((len(mean), max(len(self.names), mean.shape[1])))
        wide[:, : mean.shape[1]] = mean
        return np.asarray(wide[np.arange(len(mean)), self.labels])

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """float64 (C, C): rows by true and predicted class, as the mean over seeds."""
        counts = metrics.confusion(self.labels, self.predictions, len(self.names))
        return np.asarray(counts.mean(0))

    def cell(self, value: np.ndarray) -> str:
        """Return a label or prediction as the manifest would write it."""
        if self.task == "regress":
            return number_text(float(value), self.cell_decimals)
        if self.task == "multilabel":
            found = [name for name, is_there in zip(self.names, value, strict=True) if is_there]
            return SEPARATOR.join(found) or NONE
        return self.names[int(value)]


def decimals_of(numbers: np.ndarray) -> int:
    """Return the number of decimals that tell numbers of such a spread apart; usually three.

    >>> decimals_of(np.array([-1.0, 2.0])), decimals_of(np.array([1e-4, 3e-4]))
    (3, 7)
    >>> decimals_of(np.array([1e6, 3e6]))
    0
    """
    spread = float(np.std(numbers))
    power = math.floor(math.log10(spread)) if spread > 0 and math.isfinite(spread) else 0
    if -1 <= power < DECIMALS:
        return DECIMALS
    return max(0, 5 - power) if power > 0 else min(20, DECIMALS - power)


def number_text(value: float, decimals: int = DECIMALS, sign: str = "") -> str:
    """Return a number as text, an undefined one as a dash.

    >>> number_text(0.51239), number_text(417137.87, 0), number_text(0.5, sign="+")
    ('0.512', '417,138', '+0.500')
    """
    return "–" if value is None or value != value else f"{value:{sign},.{decimals}f}"


def read_run_rows(run: ScoredRun) -> RunRows:
    """Read the predictions of a run on the split that is compared.

    Raises:
        FitError: there are none, or they are damaged.
    """
    table = run.predictions()
    try:
        found = _rows_of(run)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        count = plural(table["seed"].nunique(), "seed")
        raise FitError(
            f"{run.path}: its table of predictions of {run.target.name} is damaged: expected each "
            f"row once for each of {count}, with numbers ({shortened(repr(error), 80)}). Fit the "
            "run again."
        ) from error
    values = [each for each in (found.probabilities, found.best) if each is not None]
    if any(((each < 0) | (each > 1) | np.isnan(each)).any() for each in values):
        raise FitError(
            f"{run.path}: its table of predictions of {run.target.name} is damaged: a probability "
            "is not from 0 to 1. Fit the run again."
        )
    return found


def _rows_of(run: ScoredRun) -> RunRows:
    """Return the predictions of a run; seeds that lack a row, or have it twice, are an error."""
    target = run.target
    by_seed = rows_by_seed(run.predictions())
    first = next(iter(by_seed.values()))
    if any(len(rows) != len(first) or not rows.index.is_unique for rows in by_seed.values()):
        raise ValueError("a row is missing, or twice there")
    tables = [rows.loc[first.index] for rows in by_seed.values()]
    names: Sequence[str] = ()
    if target.task in ("classify", "pairs"):
        names = with_others(target.classes, first["label"], *(t["prediction"] for t in tables))
    elif target.task == "multilabel":
        names = target.classes
    columns = [f"p_{name}" for name in target.classes]
    has_all = bool(columns) and all(name in first for name in columns)
    return RunRows(
        run,
        tuple(first["id"]),
        tuple(first["cause_id"]) if "cause_id" in first else (),
        tuple(by_seed),
        tuple(names),
        numbers_of(target, names, first["label"]),
        np.stack([numbers_of(target, names, rows["prediction"]) for rows in tables]),
        np.stack([rows[columns].to_numpy(np.float64) for rows in tables]) if has_all else None,
        np.stack([rows["p_top1"].to_numpy(np.float64) for rows in tables])
        if "p_top1" in first else None,
    )  # fmt: skip
