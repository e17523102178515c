"""Score a table of predictions: each seed by itself, and by the values of a column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.heads.metrics.by_column import ScoresByValue, scores_by_value
from emo.manifest.rows import TextTable
from emo.score.answers import answers_of, check_cells
from emo.score.gold import Gold
from emo.score.metrics import Metric, score_cells


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


def score_seeds(
    rows: TextTable, path: Path, gold: Gold, metric: Metric, *, id_column: str, column: str,
    allowed: Sequence[str] | None, classes: Sequence[str] = (),
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

    Raises:
        ScoreError: a clip is missing, or a cell is no answer to the metric.
    """
    names = classes or (allowed if metric.kind == "labels" else None)
    labels = np.array([*gold.cells.values()], object)
    predicted = []
    for part in _by_seed(rows):
        answers = answers_of(part, path, id_column=id_column, column=column, split=gold.split)
        check_cells(answers, gold.cells, metric.kind, allowed)
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
    return SeedScores(_means(found), len(found), std, by)


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
