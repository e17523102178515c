"""`emo plot`: figures of finished runs, made from their folders alone; imports no torch."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emo import plugins
from emo.errors import FitError, OptionError
from emo.heads.metrics.measures import HEADLINES, title_of
from emo.heads.runs.comparing.compare import compare_runs, scored_run
from emo.heads.runs.comparing.scored_rows import read_predictions
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.figures.canvas import check_picture, new_figure, save_figure
from emo.heads.runs.figures.confusion import clips_text, draw_confusion, plan_of
from emo.heads.runs.figures.curves import Curve, draw_curves, has_path
from emo.heads.runs.files import predictions_file, read_document

FIGURES = ("confusion", "curves", "compare")
"""Kinds of figures."""


class NoCurvesError(FitError):
    """A run without curves: a cross-validation, or a head with a single solution."""


@dataclass(frozen=True)
class FigureOptions:
    """How a figure looks."""

    width: float | None = None
    """Width in inches; None: as it must be."""
    height: float | None = None
    """Height in inches; None: as it must be."""
    normalize: str = "true"
    """What cells of a confusion are divided by, see
    :data:`emo.heads.runs.figures.confusion.NORMALISATIONS`."""
    title: str | None = None
    """The title; empty: none; None: head, split and scores."""
    target: str | None = None
    """Target of the runs; None: each run's first."""
    split: str = ""
    """Split of a confusion; empty: test, else val."""


def plot_runs(kind: str, runs: Sequence[Path], out: Path, options: FigureOptions) -> list[str]:
    """Draw runs, write the figure, and return notes for its reader.

    Args:
        kind: one of ``FIGURES``.
        runs: folders of runs.
        out: the file; its ending says the format: ``.pdf``, ``.svg`` or ``.png``.
        options: how the figure looks.

    Raises:
        OptionError: an ending, size or name that is not known.
        FitError: a damaged run, or one without such a figure.
    """
    check_picture(out)
    for name in ("width", "height"):
        size = getattr(options, name)
        if size is not None and not 0.5 <= size <= 100:
            raise OptionError(f"--{name} {size:g}: expected 0.5 to 100 inches")
    draw = {"confusion": _confusions, "curves": _curves, "compare": _comparison}[kind]
    figure, notes = draw(runs, options)
    save_figure(figure, out)
    return notes


def confusion_counts(
    run: Path, target: str | None, split: str
) -> tuple[np.ndarray, ScoredRun, str]:
    """Return the clips of each true and predicted class, float64 (C, C), as the mean over seeds.

    Args:
        run: folder of the run.
        target: target of classes; None: the run's first.
        split: ``train``, ``val`` or ``test``; empty: test, else val.

    Returns:
        The counts, the run and the split.

    Raises:
        FitError: the target is not one of classes.
        OptionError: there is no such split.
    """
    found = scored_run(run, target)
    if found.target.task != "classify":
        raise FitError(f"{run}: target {found.target.name} is not one of classes: no confusion")
    name = predictions_file(
        found.target.name, is_first=found.target.name == found.document["target"]
    )
    table = read_predictions(run / name, found.target, has_others=found.has_others)
    known = list(table["split"].unique())
    split = split or found.split
    if split not in known:
        raise OptionError(f"{run}: {plugins.unknown('split', split, known)}")
    # with --top-classes, labels that the head did not learn have no row in the picture, and rows
    # without tokens no prediction
    is_shown = table[["label", "prediction"]].isin(found.target.classes).all(axis=1)
    rows = table[(table["split"] == split) & is_shown]
    number = {each: k for k, each in enumerate(found.target.classes)}
    counts = np.zeros((len(number), len(number)))
    np.add.at(counts, (rows["label"].map(number), rows["prediction"].map(number)), 1)
    return counts / rows["seed"].nunique(), found, split


def curves_of(run: Path) -> tuple[list[Curve], str]:
    """Return the rounds of each seed of a run, and the name of the score that chose among them.

    Raises:
        NoCurvesError: the run has no history with several rounds.
        FitError: the run is damaged.
    """
    path = run / "history.csv"
    document = read_document(run)
    if "folds" in document:
        raise NoCurvesError(f"{run}: a cross-validation has no curves; plot a fit")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        column = next(name for name in rows[0] if name.startswith("val_") and name != "val_loss")
        seeds = list(dict.fromkeys(row["seed"] for row in rows))
        kept = str(document.get("kept", {}).get("seed", seeds[0]))
        curves = [_curve([row for row in rows if row["seed"] == seed], column,
                         is_kept=seed == kept or len(seeds) == 1) for seed in seeds]  # fmt: skip
    except (OSError, StopIteration, IndexError, KeyError, ValueError) as error:
        raise FitError(f"{path}: cannot be read: {error}; fit the run again") from error
    if not has_path(curves):
        head = document["head"]["name"]
        raise NoCurvesError(
            f"{run}: {head} has a single round (linear chooses one penalty for each of several "
            "streams), so that there is no curve"
        )
    return curves, column.removeprefix("val_")


def is_exact(document: Mapping[str, Any]) -> bool:
    """Return whether the head of a run, by its ``run.json``, was solved instead of trained."""
    return bool(document["head"]["options"].get("solver", "adamw") != "adamw")


def _curve(rows: Sequence[dict[str, str]], column: str, *, is_kept: bool) -> Curve:
    """Return the rounds of one seed from the lines of ``history.csv``."""
    return Curve(
        [int(row["round"]) for row in rows], [float(row["train_loss"] or "nan") for row in rows],
        [float(row["val_loss"] or "nan") for row in rows],
        [float(row[column] or "nan") for row in rows],
        [int(row["round"]) for row in rows if row["is_best"] == "True"][-1], is_kept,
    )  # fmt: skip


def _confusions(runs: Sequence[Path], options: FigureOptions) -> tuple[Any, list[str]]:
    """Draw the confusion of each run, side by side."""
    width = options.width and options.width / len(runs)
    parts = []
    for run in runs:
        counts, found, split = confusion_counts(run, options.target, options.split)
        totals = [f" ({clips_text(count)})" for count in counts.sum(1).tolist()]
        plan = plan_of(found.target.classes, totals, width=width, height=options.height)
        parts.append((counts, found, split, plan))
    plans = [part[-1] for part in parts]
    figure, axes = new_figure(
        options.width or sum(plan.width for plan in plans), max(plan.height for plan in plans),
        columns=len(parts),
    )  # fmt: skip
    for panel, (counts, found, split, plan) in zip(np.atleast_1d(axes), parts, strict=True):
        title = options.title if options.title is not None else f"{found.path.name} on {split}"
        draw_confusion(
            panel, counts, plan, normalize=options.normalize, title=title
        )  # fmt: skip
    notes = []
    for _, found, _, plan in parts:
        notes += [f"{found.path}: {plan.names.note}"] if plan.names.note else []
        notes += [] if plan.is_legible else [f"{found.path}: names overlap in this size"]
    return figure, notes


def _curves(runs: Sequence[Path], options: FigureOptions) -> tuple[Any, list[str]]:
    """Draw losses and the score on val of each run, one run below the other.

    A run without curves is left out with a note, unless all are so.
    """
    found, notes = [], []
    for run in runs:
        try:
            found.append((run, *curves_of(run)))
        except NoCurvesError as error:
            if len(runs) == 1:
                raise
            notes.append(f"left out: {error}")
    if not found:
        raise NoCurvesError("no run has curves; " + "; ".join(notes))
    figure, axes = new_figure(
        options.width or 9.5, options.height or 3.8 * len(found), columns=2, rows=len(found)
    )
    for (run, curves, headline), (left, right) in zip(found, np.atleast_2d(axes), strict=True):
        document = read_document(run)
        draw_curves(left, right, curves, headline=headline, is_exact=is_exact(document))
        title = (
            f"{run.name}: {document['head']['name']}" if options.title is None else options.title
        )
        if title:
            left.set_title(title, fontsize=10, loc="left")
    return figure, notes


def _comparison(runs: Sequence[Path], options: FigureOptions) -> tuple[Any, list[str]]:
    """Draw the headline score of each run with its 95 % interval, the best on top."""
    found = compare_runs(runs, target=options.target)
    groups: dict[tuple[str, str], list[ScoredRun]] = {}
    for run in found.runs:
        groups.setdefault((run.target.name, run.target.task), []).append(run)
    labels = _labels(found.runs)
    figure, axes = new_figure(
        options.width or 4.5 + 0.075 * max(map(len, labels.values())),
        options.height or sum(1.2 + 0.3 * len(group) for group in groups.values()),
        rows=len(groups),
    )
    for panel, group in zip(np.atleast_1d(axes), groups.values(), strict=True):
        headline = HEADLINES[group[0].target.task]
        for row, run in enumerate(group):
            low, high = run.interval()
            mean = run.metrics["mean"][headline]
            panel.plot([low, high], [row, row], color="C0", lw=2)
            panel.plot(mean, row, "o", color="C0")
        panel.set_yticks(range(len(group)), [labels[run.path] for run in group], fontsize=8)
        panel.set_ylim(len(group) - 0.5, -0.5)
        panel.set_xlabel(f"{title_of(headline)} on {group[0].split}, 95 % interval")
        panel.grid(alpha=0.25, axis="x")
        title = group[0].target.name if options.title is None else options.title
        if title:
            panel.set_title(title, fontsize=10)
    return figure, list(found.notes)


def _labels(runs: Sequence[ScoredRun]) -> dict[Path, str]:
    """Return the names of runs in a figure: the last part of the path, or all if two were equal."""
    names = [run.path.name for run in runs]
    is_unique = len(set(names)) == len(names) and all(names)
    return {run.path: run.path.name if is_unique else str(run.path) for run in runs}
