"""The pictures in a run's folder: confusion of classes, predicted and true numbers, curves."""

from pathlib import Path
from typing import TYPE_CHECKING

from emo.heads.metrics.measures import title_of
from emo.heads.runs.figures import canvas
from emo.heads.runs.figures.confusion import clips_text, draw_confusion, plan_of
from emo.heads.runs.figures.curves import Curve, draw_curves, has_path

if TYPE_CHECKING:
    from emo.heads.data.targets import Target
    from emo.heads.runs.result import FitResult

_save = canvas.save_png


def plot_confusion(path: Path, result: "FitResult", target: "Target") -> None:
    """Plot the confusion matrix of one target on test, or on val if there is no test.

    Each cell shows the share of its true class, so that rows sum to 1, and the number of clips;
    with many classes it shows the share by its colour alone.
    """
    all_scores = result.all_scores[target.name]
    split = list(all_scores)[-1]
    scores = all_scores[split]
    counts = scores.confusion / len(scores.seeds)  # (C, C)
    totals = [f" ({clips_text(count)})" for count in counts.sum(1).tolist()]
    plan = plan_of(target.classes, totals)
    found = result.all_metrics[target.name][split]["mean"]
    second = "uar" if "uar" in found else "micro_f1"
    seeds = f", mean of {len(scores.seeds)} seeds" if len(scores.seeds) > 1 else ""
    title = (
        f"{result.options.head} on {split}{seeds}\n"
        f"weighted F1 {found['weighted_f1']:.3f}, {title_of(second)} {found[second]:.3f}"
    )
    figure, axes = canvas.new_figure(plan.width, plan.height)
    draw_confusion(axes, counts, plan, title=title)
    _save(figure, path)


def plot_numbers(path: Path, result: "FitResult", target: "Target") -> None:
    """Plot predicted against true numbers of the first seed on test, or on val without a test."""
    all_scores = result.all_scores[target.name]
    split = list(all_scores)[-1]
    scores = all_scores[split]
    figure, axes = canvas.new_figure(5.2, 5.0)
    axes.plot(scores.labels, scores.predictions[0], ".", alpha=0.4)
    ends = [float(scores.labels.min()), float(scores.labels.max())]
    axes.plot(ends, ends, color="grey", ls="--", lw=1)
    axes.set_xlabel(f"true {target.name}")
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
    """Plot losses and the score on val by round, a line for each seed, and mark its best round.

    Nothing is written for a solver's single solution, such as that of ``linear`` on several
    streams, which has one penalty for each stream.
    """
    outcomes = result.written_outcomes
    curves = [
        Curve(
            [row.round for row in done.history], [row.train_loss for row in done.history],
            [row.val_loss for row in done.history], [row.val_score for row in done.history],
            done.best.round, is_kept=done.seed == result.best.seed,
        )
        for done in outcomes
    ]  # fmt: skip
    is_exact = result.best.is_exact
    if is_exact and not has_path(curves):
        return
    figure, (left, right) = canvas.new_figure(9.5, 3.8, columns=2)
    # the first target may have no label in val
    of_val = result.metrics.get("val", {"majority": {}})
    draw_curves(
        left, right, curves, headline=result.headline, is_exact=is_exact,
        baseline=of_val["majority"].get(result.headline),
    )  # fmt: skip
    seeds = f"{len(outcomes)} seeds, the kept one in full colour" if len(outcomes) > 1 else "1 seed"
    figure.suptitle(
        f"{result.options.head}: {'exact solutions' if is_exact else seeds}", fontsize=10
    )
    _save(figure, path)
