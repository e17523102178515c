"""The pictures of a run: curves, predicted against true numbers, maps of clips."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from emo.errors import FitError
from emo.heads.metrics.measures import title_of
from emo.heads.runs.comparing.scored_run import ScoredRun
from emo.heads.runs.figures.folders import NoCurvesError, curves_of, is_exact
from emo.report.context import Context
from emo.report.rows import RunRows
from emo.report.sections.draw import COLOURS, Axes, Drawing, dots, ends_of, line, names_at, picture
from emo.report.sections.where import RunTokens

MOST_DOTS = 3000
"""Largest number of points of a picture; of more rows every second, third … is drawn."""
ITERATIONS = 25
"""Steps of the subspace iteration of :func:`principal`."""


def curves_drawing(run: ScoredRun) -> tuple[tuple[Drawing, ...], str]:
    """Return pictures of the losses and of the score on val, or why there are none."""
    try:
        curves, headline = curves_of(run.path)
    except NoCurvesError as error:
        return (), str(error).partition(": ")[2]
    except FitError:
        return (), "its history cannot be read" if run.is_fitted else "nothing was trained"
    exact = is_exact(run.document)
    rounds = [number for curve in curves for number in curve.rounds]
    x = ends_of(rounds)
    name = "penalty, from strong to weak" if exact else "epoch"
    losses = [v for curve in curves for v in (*curve.train_losses, *curve.val_losses)]
    left = Axes(x, ends_of(losses), (name, "loss"))
    right = Axes(x, ends_of([v for c in curves for v in c.val_scores]),
                 (name, f"val {title_of(headline)}"))  # fmt: skip
    parts: tuple[list[str], list[str]] = [], []
    for curve in sorted(curves, key=lambda each: each.is_kept):
        faint = "" if curve.is_kept else " faint"
        parts[0].append(line(left, curve.rounds, curve.train_losses, f"k0{faint}"))
        parts[0].append(line(left, curve.rounds, curve.val_losses, f"k1 dashed{faint}"))
        parts[1].append(line(right, curve.rounds, curve.val_scores, f"k1 dashed{faint}"))
        score = curve.val_scores[list(curve.rounds).index(curve.best)]
        parts[1].append(dots(right, [curve.best], [score], f"k2 large{faint}"))
    kept = "The head that was kept is drawn strongly, other seeds faintly."
    seeds = kept if len(curves) > 1 else ""
    return (
        Drawing("Losses", picture(left, parts[0], "Loss on train and val by round"), seeds,
                (("k0", "train"), ("k1 dashed", "val"))),
        Drawing("Score on val", picture(right, parts[1], f"val {title_of(headline)} by round"),
                "The dot is the round that was kept.", ()),
    ), ""  # fmt: skip


def numbers_drawing(rows: RunRows) -> Drawing | None:
    """Return predicted against true numbers; None: the target is of another kind."""
    if rows.task != "regress":
        return None
    kept = slice(None, None, max(1, -(-len(rows) // MOST_DOTS)))
    x, y = rows.labels[kept].tolist(), rows.shown[kept].tolist()
    ends = ends_of([*x, *y])
    axes = Axes(ends, ends, ("label", "prediction"))
    parts = [line(axes, ends, ends, "grey dashed"), dots(axes, x, y, "k0")]
    shown = "" if len(x) == len(rows) else f" {len(x):,} of {len(rows):,} rows are drawn."
    return Drawing(
        "Predicted and true numbers", picture(axes, parts, "Predictions against labels"),
        f"A point on the dashed line is right.{shown}",
    )  # fmt: skip


def map_drawings(rows: RunRows, context: Context, tokens: RunTokens | None) -> tuple[Drawing, ...]:
    """Return maps of the clips: by what the head says, and by their tokens if there is a store."""
    if rows.task != "classify" or rows.mean_probabilities is None or len(rows) < 3:
        return ()
    logs = np.log(np.maximum(rows.mean_probabilities, 1e-6))
    labels = [rows.names[code] for code in rows.labels.tolist()]
    found = [_map(logs, labels, rows.names, "What the head says, by label",
                  "Principal components of the log-probabilities")]  # fmt: skip
    if tokens is None:
        return tuple(found)
    means, known = tokens.means()
    if len(known) < 3:
        return tuple(found)
    words = "Principal components of the mean tokens, before any head"
    own = [labels[k] for k in known.tolist()]
    found.append(_map(means, own, rows.names, "The tokens, by label", words))
    clips = context.manifests.clips(rows.run.document)
    speakers = [clips[rows.ids[k]].speaker or "" if rows.ids[k] in clips else ""
                for k in known.tolist()]  # fmt: skip
    names = [name for name, _ in Counter(filter(None, speakers)).most_common(COLOURS - 1)]
    if len(names) > 1:
        called = [context.names.of("speaker", name) for name in names]
        shown = [called[names.index(each)] if each in names else "others" for each in speakers]
        found.append(_map(means, shown, [*called, "others"], "The tokens, by speaker",
                          f"{words}; where speakers lie apart, a head may learn who speaks")
        )  # fmt: skip
    return tuple(found)


def _map(
    table: np.ndarray, values: Sequence[str], names: Sequence[str], title: str, text: str
) -> Drawing:
    """Return a picture of rows in two dimensions.

    Args:
        table: float (N, D), what is known of each row.
        values: label or speaker of each row.
        names: the values in the order of their colours.
        title: title of the picture.
        text: what the axes are.
    """
    components, shares = principal(table)
    count = len(components)
    drawn = np.zeros(count, bool)
    drawn[:: max(1, -(-count // MOST_DOTS))] = True
    axes = Axes(ends_of(components[:, 0].tolist()), ends_of(components[:, 1].tolist()),
                (f"{shares[0]:.0%} of variance", f"{shares[1]:.0%}"), has_ticks=False)  # fmt: skip
    parts, middles, legend = [], {}, []
    every = np.array(values, dtype=object)
    for code, name in enumerate(names):
        own = every == name
        if not own.any():
            continue
        points, style = components[own & drawn], f"k{code % COLOURS}"
        parts.append(dots(axes, points[:, 0].tolist(), points[:, 1].tolist(), style))
        middle = np.median(components[own], axis=0)
        middles[name] = (float(middle[0]), float(middle[1]))
        legend.append((style, name))
    svg = picture(axes, [*parts, *names_at(axes, middles)], title)
    some = "" if drawn.all() else f"; {int(drawn.sum()):,} of {count:,} rows are drawn"
    return Drawing(
        title, svg, f"{text}. Names stand at the medians{some}.",
        tuple(legend) if len(legend) <= COLOURS else (),
    )  # fmt: skip


def principal(table: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Return the first two principal components, float64 (N, 2), and their shares of variance.

    They are found by subspace iteration, which takes a moment where a table has thousands of
    columns. Signs are chosen so that the largest weight of each is positive: the same input, the
    same picture.
    """
    centred = np.asarray(table, np.float64) - table.mean(0)
    total = float((centred**2).sum()) or 1.0
    width = min(4, *centred.shape)
    basis = np.random.default_rng(0).normal(size=(centred.shape[1], width))
    for _ in range(ITERATIONS):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    _, values, turned = np.linalg.svd(centred @ basis, full_matrices=False)
    first = (basis @ turned.T)[:, :2]
    shares = [float(value) ** 2 / total for value in values[:2]]
    if first.shape[1] < 2:
        first, shares = np.pad(first, ((0, 0), (0, 2 - first.shape[1]))), [*shares, 0.0]
    first = first * np.where(first[np.abs(first).argmax(0), [0, 1]] < 0, -1, 1)
    return np.asarray(centred @ first), (shares[0], shares[1])
