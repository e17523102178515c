"""The plots of a run: confusion of classes, predicted against true numbers, training curves."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from emo.heads.data.targets import Target
    from emo.heads.runs.result import FitResult

DPI = 130
"""Pixels per inch."""
PNG_COMPRESSION = 2
"""Compression level of zlib: some 10 kB more than with its default, in a third of the time."""
MOST_COUNTED = 12
"""Largest number of classes whose confusion plot has numbers in its cells."""
SHORT = {"weighted_f1": "weighted F1", "uar": "UAR", "micro_f1": "micro F1"}
"""Names of scores in titles."""


def plot_confusion(path: Path, result: "FitResult", target: "Target") -> None:
    """Plot the confusion matrix of one target on test, or on val if there is no test.

    Each cell shows the share of its true class, so that rows sum to 1, and the number of clips;
    above ``MOST_COUNTED`` classes it shows the share by its colour alone.
    """
    all_scores = result.all_scores[target.name]
    split = list(all_scores)[-1]
    scores, classes = all_scores[split], target.classes
    counts = scores.confusion / len(scores.seeds)  # (C, C)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    has_counts = len(classes) <= MOST_COUNTED
    size = max(4.2, 1.6 + (0.78 if has_counts else 0.24) * len(classes))
    figure, axes = _figure(size + 0.8, size)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*shares.shape) if has_counts else ():
        axes.text(
            column,
            row,
            f"{shares[row, column]:.0%}\n{_count(float(counts[row, column]))}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] > 0.55 else "black",
            in_layout=False,  # it lies within the image
        )
    names = [_short(name) for name in classes]
    clips = counts.sum(1).tolist()
    totals = [f"{name} ({_count(count)})" for name, count in zip(names, clips, strict=True)]
    axes.set_xticks(range(len(classes)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), totals)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true (clips)")
    found = result.all_metrics[target.name][split]["mean"]
    second = "uar" if "uar" in found else "micro_f1"
    seeds = f", mean of {len(scores.seeds)} seeds" if len(scores.seeds) > 1 else ""
    axes.set_title(
        f"{result.options.head} on {split}{seeds}\n"
        f"weighted F1 {found['weighted_f1']:.3f}, {SHORT[second]} {found[second]:.3f}",
        fontsize=10,
    )
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    _save(figure, path)


def plot_numbers(path: Path, result: "FitResult", target: "Target") -> None:
    """Plot predicted against true numbers of the first seed on test, or on val without a test."""
    all_scores = result.all_scores[target.name]
    split = list(all_scores)[-1]
    scores = all_scores[split]
    figure, axes = _figure(5.2, 5.0)
    axes.plot(scores.labels, scores.predictions[0], ".", alpha=0.4)
    ends = [float(scores.labels.min()), float(scores.labels.max())]
    axes.plot(ends, ends, color="grey", ls="--", lw=1)
    axes.set_xlabel(f"true {_short(target.name)}")
    axes.set_ylabel("predicted")
    found = result.all_metrics[target.name][split]["mean"]
    axes.set_title(
        f"{result.options.head} on {split}\nMAE {found['mae']:.3f}, Pearson "
        + ("undefined" if found["pearson"] is None else f"{found['pearson']:.3f}"),
        fontsize=10,
    )
    axes.grid(alpha=0.25)
    _save(figure, path)


def plot_curves(path: Path, result: "FitResult") -> None:
    """Plot losses and the score on val by round, a line for each seed, and mark its best round."""
    figure, (left, right) = _figure(9.5, 3.8, columns=2)
    outcomes = result.written_outcomes
    for outcome in outcomes:
        rounds = [row.round for row in outcome.history]
        is_kept = outcome.seed == result.best.seed
        faint = {"alpha": 1.0 if is_kept else 0.35, "lw": 1.4}
        train = [row.train_loss for row in outcome.history]
        val = [row.val_loss for row in outcome.history]
        left.plot(rounds, train, color="C0", label="train" if is_kept else None, **faint)
        left.plot(rounds, val, color="C1", label="val" if is_kept else None, **faint)
        right.plot(rounds, [row.val_score for row in outcome.history], color="C1", **faint)
        right.plot(
            outcome.best.round,
            outcome.best.val_score,
            "o",
            color="C3",
            label="kept round" if is_kept else None,
            alpha=faint["alpha"],
        )
        left.axvline(outcome.best.round, color="C3", ls=":", lw=1, alpha=faint["alpha"])
    # the first target may have no label in val
    of_val = result.metrics.get("val", {"majority": {}})
    if result.headline in of_val["majority"]:
        baseline = of_val["majority"][result.headline]
        right.axhline(baseline, color="grey", ls="--", lw=1, label="majority class")
        right.set_ylim(0, 1.03)
    what = "penalty, from strong to weak" if result.best.is_exact else "epoch"
    for axes, name in (
        (left, "cross-entropy" if result.headline == "weighted_f1" else "loss"),
        (right, f"val {SHORT.get(result.headline, result.headline)}"),
    ):
        axes.set_xlabel(what)
        axes.set_ylabel(name)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
        axes.xaxis.get_major_locator().set_params(integer=True)
    seeds = f"{len(outcomes)} seeds, the kept one in full colour" if len(outcomes) > 1 else "1 seed"
    how = "exact solutions" if result.best.is_exact else seeds
    figure.suptitle(f"{result.options.head}: {how}", fontsize=10)
    _save(figure, path)


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    """Make a figure without pyplot, which has global state and may need a screen.

    Args:
        width: width in inches.
        height: height in inches.
        columns: number of axes side by side.

    Returns:
        The figure; and its axes, or an array of them if there are several.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # a second to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns)


def _save(figure: Any, path: Path) -> None:
    """Write a figure as PNG; savefig would draw it twice, because its layout needs a drawing."""
    from PIL import Image  # comes with matplotlib

    as_plain_text(figure)
    with warnings.catch_warnings():  # letters that the font lacks are drawn as boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # uint8 (H, W, 3), opaque
    Image.fromarray(pixels).save(path, dpi=(DPI, DPI), compress_level=PNG_COMPRESSION)


def as_plain_text(artist: Any) -> None:
    """Show the texts of a figure or of axes as they are: a label such as ``$x$`` is no formula.

    A label that is no valid formula, such as ``$\\frac{$``, would end the plot with an error.
    """
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        text.set_parse_math(False)


def _count(clips: float) -> str:
    """Return a number of clips, or a mean of such numbers, as text."""
    return f"{clips:,.0f}" if float(clips).is_integer() else f"{clips:,.1f}"


def _short(name: str) -> str:
    """Return a class name of at most 16 characters."""
    return name if len(name) <= 16 else f"{name[:15]}…"
