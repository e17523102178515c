"""Draw losses and the score on val by round: epochs of steps, or the penalties of a solver."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emo.heads.metrics.measures import title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Curve:
    """The rounds of one seed."""

    rounds: Sequence[int]
    """Numbers of the rounds."""
    train_losses: Sequence[float]
    """Loss on train of each round."""
    val_losses: Sequence[float]
    """Loss on val of each round."""
    val_scores: Sequence[float]
    """Score on val of each round."""
    best: int
    """Number of the round that was kept."""
    is_kept: bool = True
    """Whether the run keeps this seed's head; other seeds are drawn faintly."""


def draw_curves(
    left: "Axes",
    right: "Axes",
    curves: Sequence[Curve],
    *,
    headline: str,
    is_exact: bool,
    baseline: float | None = None,
) -> None:
    """Draw losses on the left axes and the score on val on the right ones, a line for each seed.

    Args:
        left: where losses are drawn.
        right: where the score on val is drawn.
        curves: the rounds of each seed.
        headline: name of the score by which rounds were chosen.
        is_exact: whether rounds are solutions of a solver, from a strong to a weak penalty.
        baseline: score on val without any features; None: it is not drawn.
    """
    for curve in curves:
        faint: dict[str, Any] = {"alpha": 1.0 if curve.is_kept else 0.35, "lw": 1.4}
        left.plot(curve.rounds, curve.train_losses, color="C0",
                  label="train" if curve.is_kept else None, **faint)  # fmt: skip
        left.plot(curve.rounds, curve.val_losses, color="C1",
                  label="val" if curve.is_kept else None, **faint)  # fmt: skip
        left.axvline(curve.best, color="C3", ls=":", lw=1, alpha=faint["alpha"])
        draw_scores(right, curve, colour="C1")
    if baseline is not None:
        right.axhline(baseline, color="grey", ls="--", lw=1, label="majority class")
        right.set_ylim(0, 1.03)
    left.set_ylabel("cross-entropy" if headline == "weighted_f1" else "loss")
    for axes in (left, right):
        finish_curves(axes, is_exact=is_exact)
    right.set_ylabel(f"val {title_of(headline)}")


def draw_scores(axes: "Axes", curve: Curve, *, colour: str, label: str | None = None) -> None:
    """Draw the score on val of one seed, and mark its kept round."""
    faint: dict[str, Any] = {"alpha": 1.0 if curve.is_kept else 0.35}
    axes.plot(curve.rounds, curve.val_scores, color=colour, lw=1.4, label=label, **faint)
    score = curve.val_scores[list(curve.rounds).index(curve.best)]
    axes.plot(curve.best, score, "o", color="C3",
              label="kept round" if curve.is_kept else None, **faint)  # fmt: skip


def finish_curves(axes: "Axes", *, is_exact: bool) -> None:
    """Name the axis of rounds, and add the grid and the legend."""
    axes.set_xlabel("penalty, from strong to weak" if is_exact else "epoch")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8)
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True)


def has_path(curves: Sequence[Curve]) -> bool:
    """Return whether there is anything to draw: a seed with more than one round.

    A solver that chooses one penalty for each stream, such as ``linear`` on several streams, has a
    single solution.
    """
    return any(len(curve.rounds) > 1 for curve in curves)
