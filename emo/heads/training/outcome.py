"""What came of training one head: its weights, and every round on the way."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Round:
    """One candidate: an epoch of gradient steps, or one solution of a solver."""

    seed: int
    round: int
    """From 1."""
    train_loss: float
    val_loss: float
    """Plain cross-entropy, without smoothing or weights; of numbers the smooth L1."""
    val_score: float
    """The headline score on val (:data:`emo.heads.metrics.measures.HEADLINES`); higher: better."""
    is_best: bool
    """So far."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """One trained head."""

    seed: int
    state: dict[str, Tensor]
    """Weights of the best round."""
    history: tuple[Round, ...]
    is_exact: bool
    """Found by a solver: another seed would give the same."""

    @property
    def best(self) -> Round:
        """The round whose weights were kept."""
        return next(found for found in reversed(self.history) if found.is_best)
