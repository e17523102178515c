"""Rows worth a look: the most confident mistakes, and labels that may be wrong."""

from dataclasses import dataclass

import numpy as np

from emo.report.board import Group
from emo.report.context import Context
from emo.report.rows import RunRows

MOST_SUSPECTS = 12
"""Number of rows whose labels may be wrong that are listed."""


@dataclass(frozen=True)
class Card:
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


def cards_of(rows: RunRows, context: Context) -> tuple[Card, ...]:
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
    return tuple(_card(rows, int(row), context) for row in wrong[:count])


def _card(rows: RunRows, row: int, context: Context) -> Card:
    """Return the card of one row."""
    clips = context.manifests.clips(rows.run.document)
    clip = clips.get(rows.ids[row])
    is_number = rows.task == "regress"
    sure, own = rows.confidence if not is_number else None, (
        None if is_number else rows.label_probability)  # fmt: skip
    return Card(
        context.clips[rows.ids[row]],
        context.clips[rows.causes[row]] if rows.causes else None,
        context.names.of("speaker", (clip.speaker or "") if clip else ""),
        rows.cell(rows.labels[row]), rows.cell(rows.shown[row]),
        None if sure is None else float(sure[row]), None if own is None else float(own[row]),
        0 if is_number else int(rows.is_right[:, row].sum()), len(rows.seeds),
        _bars(rows, row), float(rows.errors[row]) if is_number else None,
    )  # fmt: skip


def _bars(rows: RunRows, row: int) -> tuple[tuple[str, float], ...]:
    """Return the four most probable classes with their probabilities; empty: not known."""
    mean = rows.mean_probabilities if rows.task != "regress" else None
    if mean is None:
        return ()
    order = np.argsort(-mean[row], kind="stable")[:4].tolist()
    return tuple((rows.run.target.classes[k], float(mean[row, k])) for k in order)


def suspects_of(rows: RunRows, group: Group, context: Context) -> tuple[Suspect, ...]:
    """Return the rows whose label is least probable beside the best other class.

    Only rows that the head was not trained on are looked at: those of test or val, or of all folds.
    """
    if rows.task != "classify" or rows.margins is None or rows.mean_probabilities is None:
        return ()
    margins, mean, own = rows.margins, rows.mean_probabilities, rows.label_probability
    known = rows.labels < mean.shape[1]
    order = [int(row) for row in np.argsort(margins, kind="stable") if known[row] and
             margins[row] < 0][:MOST_SUSPECTS]  # fmt: skip
    found = []
    for row in order:
        other = int(mean[row].argmax())
        others = [each for run, each in group.rows.items()]
        wrong = sum(_is_wrong(each, rows.ids[row]) for each in others)
        assert own is not None
        found.append(Suspect(
            context.clips[rows.ids[row]], rows.cell(rows.labels[row]),
            rows.run.target.classes[other], float(own[row]), float(mean[row, other]), wrong,
        ))  # fmt: skip
    return tuple(found)


def _is_wrong(rows: RunRows, clip_id: str) -> bool:
    """Return whether the shown prediction of a clip is not its label."""
    row = rows.row_of[clip_id]
    return bool(rows.shown[row] != rows.labels[row])
