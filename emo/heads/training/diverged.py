"""Stop a seed whose losses, weights or probabilities are not finite, so that it is no result."""

import math
from collections.abc import Mapping

import numpy as np
from torch import nn

from emo.errors import FitError
from emo.heads.metrics.ranked import is_ranked
from emo.heads.training.outcome import Outcome


class DivergedError(FitError):
    """Training of one seed reached numbers that are not finite; the seed has no head."""


def when_diverged(seed: int, number: int, learning_rate: float | None) -> str:
    """Return the beginning of a message: which seed diverged, and in which round.

    Args:
        seed: the seed.
        number: number of the round, from 1.
        learning_rate: learning rate of the gradient steps; None: a solver found the weights.
    """
    if learning_rate is None:
        return f"seed {seed} has no solution at penalty {number} of its path"
    return f"seed {seed} diverged in epoch {number} (learning rate {learning_rate:g})"


def check_losses(when: str, *, train_loss: float, val_loss: float) -> None:
    """Check the losses of a round.

    Args:
        when: beginning of the message, see :func:`when_diverged`.
        train_loss: mean training loss.
        val_loss: loss on val.

    Raises:
        DivergedError: one of them is not finite.
    """
    for name, loss in (("training loss", train_loss), ("loss on val", val_loss)):
        if not math.isfinite(loss):
            raise DivergedError(f"{when}: the {name} is {loss}")


def check_head_weights(when: str, head: nn.Module) -> None:
    """Check the weights of a head; its buffers may be infinite, as masks are.

    Args:
        when: beginning of the message, see :func:`when_diverged`.
        head: the head.

    Raises:
        DivergedError: a weight is not finite.
    """
    parameters = {name for name, _ in head.named_parameters()}
    for name, tensor in head.state_dict().items():
        is_right = tensor.isfinite() if name in parameters else ~tensor.isnan()
        if not bool(is_right.all()):
            raise DivergedError(f"{when}: weights of {name} are not finite")


def rows_not_finite(table: np.ndarray) -> int:
    """Return how many rows of outputs, float32 (rows, C) or ranked, are not finite."""
    table = table["share"] if is_ranked(table) else table
    return int((~np.isfinite(table).all(axis=1)).sum())


def check_outputs(
    outcome: Outcome, outputs: Mapping[str, Mapping[str, np.ndarray]], learning_rate: float
) -> None:
    """Check what a trained head returned.

    Args:
        outcome: outcome of the seed.
        outputs: by split, then by target: probabilities or numbers, float32 (rows, C).
        learning_rate: learning rate of the gradient steps.

    Raises:
        DivergedError: some of them are not finite; the message names the split and how many rows.
    """
    rate = None if outcome.is_exact else learning_rate
    for split, by_target in outputs.items():
        for target, table in by_target.items():
            if bad := rows_not_finite(table):
                when = when_diverged(outcome.seed, outcome.best.round, rate)
                raise DivergedError(
                    f"{when}: its outputs of {target} are not finite for {bad:,} of {len(table):,} "
                    f"rows of {split}"
                )
