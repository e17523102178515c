"""The outcome of training one head: its weights and the scores of every round."""

from dataclasses import dataclass

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
    """Headline score on val, see :data:`emo.heads.metrics.measures.HEADLINES`; higher is better."""
    is_best: bool
    """Whether the round is better than all before it."""


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

    @property
    def best(self) -> Round:
        """The round whose weights were kept."""
        return next(found for found in reversed(self.history) if found.is_best)
