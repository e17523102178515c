"""Scores of one split over all seeds, and a guard so that ``test`` is scored only once."""

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from emo.errors import FitError
from emo.heads.labels import Task, is_known
from emo.heads.metrics import classes as metrics
from emo.heads.metrics import measures
from emo.heads.metrics.by_column import ScoresByValue, scores_by_value
from emo.heads.metrics.ranked import is_ranked


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of the heads of S seeds on one target of one split."""

    classes: tuple[str, ...]
    """Names of the classes; empty for a number."""
    seeds: tuple[int, ...]
    """Seeds of the heads."""
    labels: np.ndarray
    """Labels of the N labelled rows: int64 (N,) classes, where C, C + 1 … are ``others``; int64
    (N, C) of 0 and 1 for several labels; or float32 (N,) numbers."""
    probabilities: np.ndarray
    """float32 (S, N, C) class probabilities; of more than 100 classes the most probable ones, see
    :func:`emo.heads.metrics.ranked.ranked`; or float32 (S, N, 1) predictions of a number."""
    majority: float | np.ndarray
    """What the baseline always predicts: the most frequent class of train, or its mean. An array
    (N,) where the rows come from several folds."""
    bootstrap_seed: int | None = 0
    """Seed of the bootstrap; None: no interval (for train, where it would mean nothing)."""
    task: Task = "classify"
    """What labels and predictions are."""
    scale: str = "any"
    """Range of a number, which decides its scores, see :class:`emo.heads.data.targets.Target`."""
    rows: np.ndarray | None = None
    """int64 (N,): rows of the split that have labels; None: all."""
    groups: np.ndarray | None = None
    """int64 (N,): dialogue (or another group) of each row, resampled as a whole; None: rows are
    resampled."""
    drawn_over: str = "clip"
    """Name of the groups: ``clip``, ``dialogue`` or a column of the manifest."""
    others: tuple[str, ...] = ()
    """Classes that rows have and the head did not learn; a prediction for them is always wrong."""
    by: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Column -> its value in each of the N rows, text (N,), by which the score is also reported."""
    absent: np.ndarray | None = None
    """bool (N,): rows without any tokens, whose prediction is always wrong (--top-classes); None:
    there are none."""

    @property
    def predictions(self) -> np.ndarray:
        """int64 (S, N) classes, int64 (S, N, C) of 0 and 1, or float32 (S, N) numbers.

        A row of classes without any tokens has the number behind those of ``others``.
        """
        found = self._most_probable
        if self.absent is None:
            return found
        return np.where(self.absent, len(self.classes) + len(self.others), found)

    @property
    def _most_probable(self) -> np.ndarray:
        """The predictions, as if each row had tokens."""
        if self.task == "regress":
            return self.probabilities[..., 0]
        if is_ranked(self.probabilities):
            return self.probabilities["class"][..., 0].astype(np.int64)
        if self.task == "multilabel":
            return (self.probabilities > 0.5).astype(np.int64)
        predicted: np.ndarray = self.probabilities.argmax(-1)
        return predicted

    @property
    def confusion(self) -> np.ndarray:
        """int64 (C, C) counts by true and predicted class, summed over seeds.

        They exist for classes and pairs, not for numbers and several labels. Rows of classes that
        the head did not learn are not counted.
        """
        learnt = self.labels < len(self.classes)
        if self.absent is not None:
            learnt &= ~self.absent
        counts = metrics.confusion(
            self.labels[learnt], self.predictions[:, learnt], len(self.classes)
        )
        summed: np.ndarray = counts.sum(0)
        return summed

    @property
    def drawn(self) -> str:
        """What intervals are drawn over, in words such as ``7 dialogues`` or ``42 clips``."""
        groups = measures.usable_groups(self.groups)
        return measures.drawn_words(self.drawn_over, len(self.labels), groups)

    def select(self, seeds: Sequence[int]) -> "Scores":
        """Return the scores of some of the seeds, in the order of :attr:`seeds`."""
        kept = [index for index, seed in enumerate(self.seeds) if seed in seeds]
        if len(kept) == len(self.seeds):
            return self
        return dataclasses.replace(
            self,
            seeds=tuple(self.seeds[index] for index in kept),
            probabilities=self.probabilities[kept],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the scores as they are kept in ``run.json``.

        The keys are ``clips`` (their number), ``seeds`` (all scores of each seed), ``mean`` and
        ``std`` (÷ S - 1) over seeds, ``interval`` (95 %, bootstrap), ``drawn`` (what it is drawn
        over), ``majority`` (the baseline) and ``classes`` (scores of each class). An undefined
        score is None: JSON has no NaN.
        """
        values = self._measure(self.predictions)
        baseline = self._measure(self._baseline())
        seeds = enumerate(self.seeds)
        return {
            "clips": len(self.labels),
            "seeds": {str(s): {key: _known(v[k]) for key, v in values.items()} for k, s in seeds},
            "mean": {name: _known(value.mean()) for name, value in values.items()},
            "std": {name: _known(_std(value)) for name, value in values.items()},
            "interval": self._intervals(),
            **({} if self.bootstrap_seed is None else {"drawn": self.drawn}),
            "majority": {name: _known(value) for name, value in baseline.items()},
            "classes": self._by_class(),
            **self._of_others(),
            **({"by": {name: self._by_value(values) for name, values in self.by.items()}}
               if self.by else {}),
        }  # fmt: skip

    @property
    def _count(self) -> int:
        """Number of classes, those included that the head did not learn."""
        return len(self.classes) + len(self.others) + (self.absent is not None)

    def _of_others(self) -> dict[str, dict[str, int]]:
        """Return how many rows have classes that were not learnt, and how many have no tokens."""
        found = {}
        if self.others:
            clips = int((self.labels >= len(self.classes)).sum())
            found["others"] = {"clips": clips, "classes": len(self.others)}
        if self.absent is not None:
            found["absent"] = {"clips": int(self.absent.sum())}
        return found

    def _by_value(self, values: np.ndarray) -> ScoresByValue:
        """Return rows, share and score of each value (N,), averaged over seeds."""
        found = self.predictions
        if self.task == "regress":
            errors = np.abs(found - self.labels).mean(0)
            return scores_by_value(
                values.tolist(), lambda rows: {"mae": float(errors[rows].mean())}
            )
        is_right = found == self.labels
        right = is_right.mean(0) if is_right.ndim == 2 else is_right.all(-1).mean(0)  # (N,)
        return scores_by_value(
            values.tolist(), lambda rows: {"accuracy": float(right[rows].mean())}
        )

    def _measure(self, predicted: np.ndarray) -> dict[str, np.ndarray]:
        """Return all scores of predictions of the shape of :attr:`predictions`, or of one seed."""
        return measures.measure(
            self.task, self.labels, predicted, classes=self._count, scale=self.scale
        )

    def _baseline(self) -> np.ndarray:
        """Return the predictions of the baseline, of the shape of ``labels``."""
        if self.task == "multilabel":
            return np.zeros_like(self.labels)
        return np.full(self.labels.shape, self.majority, dtype=self.labels.dtype)

    def _class_counts(self) -> metrics.ClassCounts:
        """Return counts (S, C) of each class; of several labels, of clips that have the class."""
        found = self.predictions
        if self.task != "multilabel":
            return metrics.class_counts(self.labels, found, self._count)
        of_gold = np.broadcast_to(self.labels.sum(0), (len(found), len(self.classes)))
        return metrics.ClassCounts((found * self.labels).sum(1), of_gold, found.sum(1))

    def _intervals(self) -> dict[str, list[float | None]]:
        """Return the 95 % bootstrap interval of each score; empty without a bootstrap seed."""
        if self.bootstrap_seed is None:
            return {}
        found = measures.bootstrap(
            self.task,
            self.labels,
            self.predictions,
            classes=self._count,
            scale=self.scale,
            groups=measures.usable_groups(self.groups),
            seed=self.bootstrap_seed,
        )
        return {name: [_known(end) for end in interval] for name, interval in found.items()}

    def _by_class(self) -> dict[str, dict[str, float]]:
        """Return the scores of each class learnt, averaged over seeds; empty for a number."""
        if self.task == "regress":
            return {}
        counts = self._class_counts()
        columns = {
            "clips": counts.gold, "precision": metrics.precision(counts),
            "recall": metrics.recall(counts), "f1": metrics.f1(counts),
            "predicted": counts.predicted,
        }  # fmt: skip
        return {
            label: {name: float(values[:, k].mean()) for name, values in columns.items()}
            for k, label in enumerate(self.classes)
        }


class ScoreOnce:
    """The labels of one split and target, which can be compared with predictions only once.

    Choosing anything by the test score makes published numbers too good. Training has no other
    access to the labels of ``test``.
    """

    def __init__(
        self,
        labels: np.ndarray,
        classes: tuple[str, ...],
        *,
        task: Task = "classify",
        scale: str = "any",
        groups: np.ndarray | None = None,
        drawn_over: str = "clip",
        others: tuple[str, ...] = (),
        by: Mapping[str, np.ndarray] = MappingProxyType({}),
        absent: np.ndarray | None = None,
    ) -> None:
        """Keep the labels of one split.

        Args:
            labels: labels of all rows, see :mod:`emo.heads.labels`; unlabelled rows are ignored.
            classes: names of the classes.
            task: what the labels are.
            scale: range of a number, see :class:`Scores`.
            groups: int64 (rows,), group of each row, see :class:`Scores`.
            drawn_over: name of the groups, see :class:`Scores`.
            others: names of further classes that labels have, see :class:`Scores`.
            by: column -> its value in each row, see :class:`Scores`.
            absent: bool (rows,), rows without any tokens, see :class:`Scores`.
        """
        self._labels: np.ndarray | None = labels
        self._is_labelled = bool(is_known(labels).any())
        named = "\n".join(others).encode()
        self.labels_hash = hashlib.sha256(labels.tobytes() + named).hexdigest()[:16]
        """Hash of the labels, 16 hexadecimal digits."""
        self._classes, self._groups, self._drawn_over = classes, groups, drawn_over
        self._task: Task = task
        self._scale = scale
        self._others, self._by, self._absent = others, by, absent

    @property
    def is_labelled(self) -> bool:
        """Whether any row has a label."""
        return self._is_labelled

    def score(
        self,
        probabilities: np.ndarray,
        *,
        seeds: Sequence[int],
        majority: float,
        bootstrap_seed: int | None,
    ) -> Scores:
        """Score the outputs of all seeds; the arguments are fields of :class:`Scores`.

        Raises:
            FitError: the split was scored before.
        """
        tables = {"": probabilities}
        found = self.score_all(
            tables, seeds=seeds, majority=majority, bootstrap_seed=bootstrap_seed
        )
        return found[""]

    def _absent_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Return which of some rows have no tokens, bool (rows,); None: all have some."""
        absent = None if self._absent is None else self._absent[rows]
        return absent if absent is not None and absent.any() else None

    def score_all(
        self,
        tables: Mapping[str, np.ndarray],
        *,
        seeds: Sequence[int],
        majority: float,
        bootstrap_seed: int | None,
    ) -> dict[str, Scores]:
        """Score outputs of the same heads under several conditions at once.

        Args:
            tables: by name of the condition, float32 (S, rows, C), a row for each row of the split.
            seeds: seeds of the heads.
            majority: what the baseline predicts.
            bootstrap_seed: seed of the bootstrap; None: no intervals.

        Returns:
            Scores by name of the condition.

        Raises:
            FitError: the split was scored before.
        """
        if self._labels is None:
            raise FitError(
                "this split was already scored in this run; choose by val, then fit again"
            )
        labels, self._labels = self._labels, None
        rows = np.flatnonzero(is_known(labels))
        return {
            name: Scores(
                self._classes,
                tuple(seeds),
                labels[rows],
                probabilities[:, rows],
                majority,
                bootstrap_seed,
                task=self._task,
                scale=self._scale,
                rows=rows,
                groups=None if self._groups is None else self._groups[rows],
                drawn_over=self._drawn_over,
                others=self._others,
                by={name: values[rows] for name, values in self._by.items()},
                absent=self._absent_of(rows),
            )
            for name, probabilities in tables.items()
        }


def _known(value: float | np.ndarray) -> float | None:
    """Return a number as a float, None if it is NaN."""
    number = float(value)
    return None if math.isnan(number) else number


def _std(values: np.ndarray) -> float:
    """Return the standard deviation (÷ S - 1) of (S,) values; 0 for a single one."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
