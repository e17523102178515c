"""Score a table of predictions: each seed by itself, and by the values of a column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emo.errors import ScoreError
from emo.heads.metrics.by_column import ScoresByValue, scores_by_value
from emo.manifest.tables.text_table import TextTable
from emo.score.metrics import Metric, headline_interval, score_cells
from emo.score.readers.answers import Answers, answers_of, check_cells
from emo.score.readers.gold import Gold


@dataclass(frozen=True)
class SeedScores:
    """Scores of a table, averaged over its seeds."""

    means: dict[str, float]
    """Name -> mean over seeds, the headline first."""
    seeds: int
    """Number of seeds."""
    std: float
    """Standard deviation of the headline over seeds (÷ S - 1); 0 for one seed."""
    by: ScoresByValue
    """Scores by the values of the column of ``--by``; empty: no column is named."""
    interval: tuple[float, float] | None = None
    """95 % interval of the headline; None: not asked for, or not known."""
    absent: int = 0
    """Largest number of clips that a seed does not predict, which count as wrong."""


def score_seeds(
    rows: TextTable, path: Path, gold: Gold, metric: Metric, *, id_column: str, column: str,
    allowed: Sequence[str] | None, classes: Sequence[str] = (), is_open: bool = False,
    has_interval: bool = False,
) -> SeedScores:  # fmt: skip
    """Score a table of predictions.

    Args:
        rows: the table; with a column ``seed``, each seed is scored by itself.
        path: its file or run, for errors.
        gold: the labels.
        metric: the metric.
        id_column: column of clip ids.
        column: column of predictions.
        allowed: classes that may be predicted; None: any.
        classes: all classes that exist, as the user names them; empty: those in gold.
        is_open: whether clips that are not predicted count as wrong; numbers cannot.
        has_interval: whether the interval of the headline is drawn.

    Raises:
        ScoreError: a clip is missing, or a cell is no answer to the metric.
    """
    names = classes or (allowed if metric.kind == "labels" else None)
    labels = np.array([*gold.cells.values()], object)
    predicted, absent = [], 0
    for part in _by_seed(rows):
        answers = answers_of(part, path, id_column=id_column, column=column, split=gold.split)
        if is_open and metric.kind != "numbers":
            answers, lost = _filled(answers, gold, path)
            absent = max(absent, lost)
            answered = {k: cell for k, cell in gold.cells.items() if answers.cells[k]}
        else:
            answered = dict(gold.cells)
        check_cells(answers, answered, metric.kind, allowed)
        predicted.append(np.array([answers.cells[clip_id] for clip_id in gold.cells], object))

    def score(kept: np.ndarray) -> list[dict[str, float]]:
        """Return the scores of some rows for each seed."""
        wanted = labels[kept].tolist()
        return [score_cells(metric, wanted, each[kept].tolist(), names) for each in predicted]

    found = score(np.arange(len(labels)))
    values = [one[metric.headline] for one in found]
    std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    groups = [gold.groups[clip_id] for clip_id in gold.cells] if gold.groups else []
    by = scores_by_value(groups, lambda kept: _means(score(kept)))
    interval = None
    if has_interval:
        together = [gold.together.get(clip_id, "") or f"clip\t{clip_id}" for clip_id in gold.cells]
        interval = headline_interval(
            metric, labels.tolist(), [each.tolist() for each in predicted],
            _means(found)[metric.headline], together if gold.drawn_over != "clip" else (),
        )  # fmt: skip
    return SeedScores(_means(found), len(found), std, by, interval, absent)


def _filled(answers: Answers, gold: Gold, path: Path) -> tuple[Answers, int]:
    """Return predictions in which each clip of gold has a cell, and how many of these are empty.

    Raises:
        ScoreError: no clip of gold is predicted.
    """
    cells = {clip_id: answers.cells.get(clip_id, "") for clip_id in gold.cells}
    lost = sum(not cell for cell in cells.values())
    if lost == len(cells):
        raise ScoreError(
            f"{path}: none of the {lost:,} clips of {gold.path} is predicted, such as "
            f"{next(iter(cells))!r}"
        )
    return replace(answers, cells={**answers.cells, **cells}), lost


def _means(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each score, averaged over seeds."""
    return {name: float(np.mean([one[name] for one in seeds])) for name in seeds[0]}


def _by_seed(rows: TextTable) -> list[TextTable]:
    """Split a table of several seeds, as `emo fit-head` writes it, into one table for each seed."""
    seeds = rows.columns.get("seed", [])
    if len(set(seeds)) < 2:
        return [rows]
    parts = []
    for seed in dict.fromkeys(seeds):
        kept = [k for k, each in enumerate(seeds) if each == seed]
        columns = {name: [cells[k] for k in kept] for name, cells in rows.columns.items()}
        parts.append(TextTable(columns, [rows.origins[k] for k in kept]))
    return parts
