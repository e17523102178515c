"""The outcome of training one head: its weights and the scores of every round."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Round:
    """One candidate for the final weights: an epoch of gradient steps, or one solver solution."""

    seed: int
    round: int
    """Number of the round, from 1."""
    train_loss: float
    """Mean training loss, as it was minimised."""
    val_loss: float
    """Loss on val without smoothing or weights, see :func:`emo.heads.training.losses.plain_loss`.
    """
    val_score: float
    """Headline score on val, see :data:`emo.heads.metrics.measures.HEADLINES`; higher is better.
    During training of standardised labels; in a :class:`~emo.heads.runs.result.FitResult` of a
    single number in the label's unit."""
    is_best: bool
    """Whether the round is better than all before it."""

    def times(self, factor: float) -> "Round":
        """Return the round with its score multiplied, as for a number in the label's units."""
        return replace(self, val_score=self.val_score * factor)


@dataclass(frozen=True)
class Choice:
    """Which way to join streams a fit chose, and what the others scored."""

    chosen: str
    """The way that was chosen: ``late``, ``early`` or the name of a stream."""
    scores: Mapping[str, float]
    """Headline score of each way at its best candidate."""
    over: str
    """What the scores are of, such as ``val, 1,109 clips``."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def times(self, factor: float) -> "Choice":
        """Return the choice with all scores multiplied, as for a number in the label's units."""
        scores = {name: value * factor for name, value in self.scores.items()}
        return replace(self, scores=scores)

    def words(self, score: str) -> str:
        """Return the choice in one sentence.

        Args:
            score: name of the score, as tables show it.
        """
        others = ", ".join(
            f"{name} {value:.3f}" for name, value in self.scores.items() if name != self.chosen
        )
        return (
            f"fusion: {self.chosen} was chosen, {score} {self.scores[self.chosen]:.3f} on "
            f"{self.over}; {others}"
        )


@dataclass(frozen=True, eq=False)
class Outcome:
    """One trained head: the weights of its best round, and all rounds."""

    seed: int
    """Seed that the head was trained with."""
    state: dict[str, Tensor]
    """Weights of the best round, by name."""
    history: tuple[Round, ...]
    """All rounds in order."""
    is_exact: bool
    """Whether a solver found the weights, so that every seed gives the same."""
    choice: Choice | None = None
    """How streams are joined, if the fit chose it."""
    refit: Mapping[str, Tensor] = field(default_factory=dict)
    """Weights that were solved again on train and val, which the run keeps; empty: not refit."""

    settings: Mapping[str, float] = field(default_factory=dict)
    """Options of the head that the fit chose by the score on val, see
    :attr:`emo.heads.head.Head.chosen_settings`."""

    def times(self, factor: float) -> "Outcome":
        """Return the outcome with all scores multiplied, as for a number in the label's units."""
        return replace(
            self,
            history=tuple(each.times(factor) for each in self.history),
            choice=self.choice.times(factor) if self.choice is not None else None,
        )

    @property
    def kept(self) -> Mapping[str, Tensor]:
        """Weights that the run keeps: refit, or those of the best round."""
        return self.refit or self.state

    @property
    def best(self) -> Round:
        """The round whose weights were kept."""
        return next(found for found in reversed(self.history) if found.is_best)
