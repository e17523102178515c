"""L-BFGS on many smooth convex functions at once, such as one linear model at many penalties.

Together they share each pass over the data, which is what costs; ``torch.optim`` solves one and
imports torch's compiler for it (see ``adamw.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

Objective = Callable[[Tensor, Tensor], Tensor]
"""rows (p, K), which (p,) -> (p,): the value of function ``which[i]`` at row i."""
Pair = tuple[Tensor, Tensor, Tensor]
"""A step (p, K), the change of gradient over it, and 1 / their product (p,); 0: no use."""
HALVINGS = 12
"""Of a step, before a row counts as being at its minimum."""


@dataclass(frozen=True, eq=False)
class _State:
    """The functions that are not at their minimum yet."""

    which: Tensor
    rows: Tensor
    value: Tensor
    gradient: Tensor
    goal: Tensor
    """(p,), the length of gradient at which a row is done."""
    scale: Tensor
    """(p,), of the first guess at the inverse Hessian."""

    def select(self, kept: Tensor) -> "_State":
        return _State(*(getattr(self, item.name)[kept] for item in fields(self)))


def lbfgs(
    objective: Objective,
    start: Tensor,
    *,
    steps: int = 300,
    tolerance: float = 1e-4,
    least: float = 0.0,
    first_scale: float | None = None,
    memory: int = 10,
) -> Tensor:
    """Minimise P functions together, each in its own row: (P, K) -> (P, K).

    Args:
        objective: their values.
        start: (P, K).
        steps: at most.
        tolerance: a row is done when its gradient is shorter than this share of its first one.
        least: or shorter than this.
        first_scale: of the first step, times the gradient; None: a step of length 1.
        memory: pairs of steps and gradient changes kept.

    Source: Nocedal and Wright 2006, algorithms 7.4 and 7.5, with Armijo backtracking.
    """
    solved, which = start.clone(), torch.arange(len(start))
    value, gradient = _evaluate(objective, start, which)
    lengths = gradient.norm(dim=1)
    scale = 1 / lengths.clamp(min=1e-12)
    if first_scale is not None:
        scale = torch.full_like(lengths, first_scale)
    goal = (tolerance * lengths).clamp(min=least)
    state = _State(which, start, value, gradient, goal, scale)
    pairs: list[Pair] = []
    for _ in range(steps):
        state, pair = _step(objective, state, pairs)
        pairs = [*pairs, pair][-memory:]
        solved[state.which] = state.rows
        is_open = (state.gradient.norm(dim=1) > state.goal) & (pair[0] != 0).any(1)
        if not bool(is_open.any()):
            break
        if not bool(is_open.all()):  # the others go on alone
            state = state.select(is_open)
            pairs = [(s[is_open], c[is_open], i[is_open]) for s, c, i in pairs]
    return solved


def _step(objective: Objective, state: _State, pairs: list[Pair]) -> tuple[_State, Pair]:
    direction = -_direction(state, pairs)
    rows, value, gradient = _search(objective, state, direction)
    step, change = rows - state.rows, gradient - state.gradient
    curvature = (step * change).sum(1)
    squares = change.square().sum(1)
    is_good = curvature > 1e-10 * squares
    inverse = torch.where(is_good, 1 / curvature, 0.0)
    scale = torch.where(is_good, curvature / squares, state.scale)
    return _State(state.which, rows, value, gradient, state.goal, scale), (step, change, inverse)


def _search(
    objective: Objective, state: _State, direction: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Halve each row's step until its value falls; a row that cannot fall stays where it is."""
    slope = (direction * state.gradient).sum(1)
    length = torch.ones_like(state.value)
    slack = 1e-7 * state.value.abs()  # float32 cannot see smaller changes
    for _ in range(HALVINGS):
        rows = state.rows + length[:, None] * direction
        value, gradient = _evaluate(objective, rows, state.which)
        falls = value <= state.value + 1e-4 * length * slope + slack
        if bool(falls.all()):
            return rows, value, gradient
        length = torch.where(falls, length, length / 2)
    rows = torch.where(falls[:, None], rows, state.rows)
    return rows, *_evaluate(objective, rows, state.which)


def _direction(state: _State, pairs: list[Pair]) -> Tensor:
    """The two-loop recursion, every row by itself: (p, K)."""
    direction, factors = state.gradient.clone(), []
    for step, change, inverse in reversed(pairs):
        factors.append(inverse * (step * direction).sum(1))
        direction -= factors[-1][:, None] * change
    direction *= state.scale[:, None]
    for (step, change, inverse), factor in zip(pairs, reversed(factors), strict=True):
        back = inverse * (change * direction).sum(1)
        direction += (factor - back)[:, None] * step
    return direction


def _evaluate(objective: Objective, rows: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaf = rows.detach().requires_grad_()
        values = objective(leaf, which)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradient
