"""Rows worth a look: the most confident mistakes, and labels that may be wrong."""

from dataclasses import dataclass

import numpy as np

from emo.report.context import Context
from emo.report.group import Group
from emo.report.rows import RunRows
from emo.report.sections.where import RunTokens, Strip

MOST_SUSPECTS = 12
"""Number of rows whose labels may be wrong that are listed."""


@dataclass(frozen=True)
class MistakeCard:
    """A mistake of a head."""

    clip: int
    """Number of the clip on the page."""
    cause: int | None
    """Number of the cause's clip, for pairs."""
    speaker: str
    """Name of the speaker; empty: not known."""
    label: str
    """The label."""
    prediction: str
    """The prediction."""
    sure: float | None
    """Probability of the prediction; None: not known."""
    own: float | None
    """Probability of the label; None: not known."""
    right: int
    """Number of seeds that predict the label."""
    seeds: int
    """Number of seeds."""
    bars: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities."""
    error: float | None = None
    """Absolute error of a number."""
    strips: tuple[Strip, ...] = ()
    """Where in the clip the head looks; empty: not known."""


@dataclass(frozen=True)
class Suspect:
    """A row whose label may be wrong."""

    clip: int
    """Number of the clip on the page."""
    label: str
    """The label."""
    other: str
    """The class that the head finds most probable."""
    own: float
    """Probability of the label."""
    sure: float
    """Probability of the other class."""
    runs: int
    """Number of runs on the same rows that do not predict the label."""


def cards_of(
    rows: RunRows, context: Context, tokens: RunTokens | None = None
) -> tuple[MistakeCard, ...]:
    """Return the most confident mistakes, or the largest errors of numbers."""
    count = context.options.cards
    if rows.task == "regress":
        order = np.argsort(-rows.errors, kind="stable")[:count]
        return tuple(_card(rows, int(row), context) for row in order if rows.errors[row] > 0)
    equal = rows.shown == rows.labels
    wrong = np.flatnonzero(~(equal.all(-1) if equal.ndim == 2 else equal))
    sure = rows.confidence
    if sure is not None:
        wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    return tuple(_card(rows, int(row), context, tokens) for row in wrong[:count])


def _card(
    rows: RunRows, row: int, context: Context, tokens: RunTokens | None = None
) -> MistakeCard:
    """Return the card of one row."""
    clips = context.manifests.clips(rows.run.document)
    clip = clips.get(rows.ids[row])
    is_number = rows.task == "regress"
    sure, own = rows.confidence if not is_number else None, (
        None if is_number else rows.label_probability)  # fmt: skip
    return MistakeCard(
        context.clips[rows.ids[row]],
        context.clips[rows.causes[row]] if rows.causes else None,
        context.names.of("speaker", (clip.speaker or "") if clip else ""),
        rows.cell(rows.labels[row]), rows.cell(rows.shown[row]),
        None if sure is None else float(sure[row]), None if own is None else float(own[row]),
        0 if is_number else int(rows.is_right[:, row].sum()), len(rows.seeds),
        _bars(rows, row), float(rows.errors[row]) if is_number else None,
        tokens.strips(row) if tokens else (),
    )  # fmt: skip


def _bars(rows: RunRows, row: int) -> tuple[tuple[str, float], ...]:
    """Return the four most probable classes with their probabilities; empty: not known."""
    mean = rows.mean_probabilities if rows.task != "regress" else None
    if mean is None:
        return ()
    order = np.argsort(-mean[row], kind="stable")[:4].tolist()
    return tuple((rows.run.target.classes[k], float(mean[row, k])) for k in order)


def suspects_of(group: Group, context: Context) -> tuple[Suspect, ...]:
    """Return the rows whose label is least probable beside the best other class, in all runs.

    Only rows that the heads were not trained on are looked at: those of test or val, or of all
    folds. Several runs agree by the mean of their probabilities.
    """
    every = [rows for rows in group.rows.values() if rows.task == "classify"]
    tables = [(rows, rows.mean_probabilities) for rows in every]
    known = [(rows, table) for rows, table in tables if table is not None]
    if not known or any(rows.names != known[0][0].names for rows, _ in known):
        return ()
    first, classes = known[0][0], known[0][0].run.target.classes
    mean = np.mean([table[[rows.row_of[each] for each in first.ids]] for rows, table in known], 0)
    margins, own = margins_of(mean, first.labels)
    order = np.argsort(margins, kind="stable").tolist()
    chosen = [row for row in order if first.labels[row] < len(classes) and margins[row] < 0]
    return tuple(
        Suspect(
            context.clips[first.ids[row]], first.cell(first.labels[row]),
            classes[int(mean[row].argmax())], float(own[row]), float(mean[row].max()),
            sum(_is_wrong(rows, first.ids[row]) for rows in every),
        )
        for row in chosen[:MOST_SUSPECTS]
    )  # fmt: skip


def margins_of(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each label less that of the best other class, and itself.

    Very negative rows are suspects of a wrong label: the normalized margin of cleanlab (Northcutt
    et al. 2021, JAIR 70).

    >>> margins, own = margins_of(np.array([[0.75, 0.25], [0.75, 0.25]]), np.array([0, 1]))
    >>> margins.tolist(), own.tolist()
    ([0.5, -0.5], [0.75, 0.25])

    Args:
        probabilities: float64 (N, C).
        labels: int64 (N,); a label that the head did not learn has probability 0.
    """
    rows = np.arange(len(labels))
    is_known = labels < probabilities.shape[1]
    code = np.where(is_known, labels, 0)
    own = np.where(is_known, probabilities[rows, code], 0.0)
    others = probabilities.copy()
    others[rows[is_known], code[is_known]] = -1
    return own - others.max(-1), own


def _is_wrong(rows: RunRows, clip_id: str) -> bool:
    """Return whether the shown prediction of a clip is not its label."""
    row = rows.row_of[clip_id]
    return bool(rows.shown[row] != rows.labels[row])
