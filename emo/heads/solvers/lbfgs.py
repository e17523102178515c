"""L-BFGS on many smooth functions at once, such as one linear model at many penalties.

Together they share each pass over the data, which is what costs; ``torch.optim`` solves one and
imports torch's compiler for it (see ``adamw.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

CurvaturePair = tuple[Tensor, Tensor, Tensor]
"""A step (p, K), the change of gradient over it, and 1 / their product (p,); 0: no use."""
TRIES = 12
"""Of lengths of a step, before a row counts as being at its minimum."""
FLAT_ENOUGH = 0.7
"""Share of its first slope that a line may have where a step ends."""
LONGEST = 3.0
"""Times the last length, added to it where the line still falls."""
INSIDE = 0.1
"""Share of a length or stretch that a new length lies away from the ends."""


@dataclass(frozen=True)
class Objective:
    """P functions ``outer(linear(row))``, of which the linear part is what costs."""

    linear: Callable[[Tensor, Tensor], Tensor]
    """rows (p, K), which (p,) -> their images (p, …)."""
    adjoint: Callable[[Tensor, Tensor], Tensor]
    """images (p, …), which -> (p, K), by the transpose of ``linear``."""
    outer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """images, which -> values (p,) of functions ``which`` and their gradients (p, …)."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where P functions were left."""

    image: Tensor
    """(P, …)."""
    row: Tensor
    """(P, K), from the start."""
    value: Tensor
    """(P,)."""


@dataclass(frozen=True, eq=False)
class _State:
    """The functions that are not at their minimum yet."""

    which: Tensor
    image: Tensor
    row: Tensor
    value: Tensor
    outward: Tensor
    """(p, …) gradient by the image."""
    gradient: Tensor
    """(p, K)."""
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
) -> Minimum:
    """Minimise P functions together, each in its own row.

    A step goes to where its line is nearly flat; the line costs no pass, as images are linear.

    Args:
        objective: the functions.
        start: (P, …), the image where they begin, at rows of 0.
        steps: at most.
        tolerance: a row is done when its gradient is shorter than this share of its first one.
        least: or shorter than this.
        first_scale: of the first step, times the gradient; None: a step of length 1.
        memory: pairs of steps and gradient changes kept.

    Source: Nocedal and Wright 2006, algorithms 7.4 and 7.5.
    """
    which = torch.arange(len(start))
    value, outward = objective.outer(start, which)
    gradient = objective.adjoint(outward, which)
    lengths = gradient.norm(dim=1)
    scale = 1 / lengths.clamp(min=1e-12)
    if first_scale is not None:
        scale = torch.full_like(lengths, first_scale)
    goal = (tolerance * lengths).clamp(min=least)
    row = torch.zeros_like(gradient)
    found = Minimum(start.clone(), row.clone(), value.clone())
    state = _State(which, start, row, value, outward, gradient, goal, scale)
    pairs: list[CurvaturePair] = []
    for _ in range(steps):
        state, pair = _step(objective, state, pairs)
        pairs = [*pairs, pair][-memory:]
        is_open = (state.gradient.norm(dim=1) > state.goal) & (pair[0] != 0).any(1)
        for item in fields(found):
            getattr(found, item.name)[state.which] = getattr(state, item.name)
        if not bool(is_open.any()):
            break
        if not bool(is_open.all()):  # the others go on alone
            state = state.select(is_open)
            pairs = [(s[is_open], c[is_open], i[is_open]) for s, c, i in pairs]
    return found


def _step(
    objective: Objective, state: _State, pairs: list[CurvaturePair]
) -> tuple[_State, CurvaturePair]:
    direction = -_direction(state, pairs)
    towards = objective.linear(direction, state.which)
    length, value, outward = _search(objective, state, towards)
    step = length[:, None] * direction
    image = state.image + length.view(-1, *[1] * (towards.ndim - 1)) * towards
    gradient = objective.adjoint(outward, state.which)
    change = gradient - state.gradient
    curvature = (step * change).sum(1)
    squares = change.square().sum(1)
    is_good = curvature > 1e-10 * squares
    inverse = torch.where(is_good, 1 / curvature, 0.0)
    scale = torch.where(is_good, curvature / squares, state.scale)
    after = _State(
        state.which, image, state.row + step, value, outward, gradient, state.goal, scale
    )
    return after, (step, change, inverse)


def _search(objective: Objective, state: _State, towards: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths (p,) of steps, 0 where no line falls; values (p,) and outward gradients there."""
    lengths, values, outwards = zip(
        *(_search_one(objective, state, towards[row], row) for row in range(len(towards))),
        strict=True,
    )
    return towards.new_tensor(lengths), torch.stack(values), torch.stack(outwards)


def _search_one(
    objective: Objective, state: _State, towards: Tensor, row: int
) -> tuple[float, Tensor, Tensor]:
    """Where the line of one row is nearly flat, between a length where it falls and one where not.

    By secants: between two such lengths, or past the last one while there is none where it rises.
    """
    which, start, best = state.which[[row]], state.image[row], float(state.value[row])
    first = float(torch.dot(state.outward[row].flatten(), towards.flatten()))
    slack = 1e-6 * abs(best)  # float32 cannot see smaller changes
    before, low, high, length = (0.0, first), (0.0, first), None, 1.0
    for _ in range(TRIES if first < 0 else 0):
        values, outward = objective.outer(torch.add(start, towards, alpha=length)[None], which)
        slope = float(torch.dot(outward.flatten(), towards.flatten()))
        is_higher = not float(values) <= best + slack
        if not is_higher and abs(slope) <= FLAT_ENOUGH * -first:
            return length, values[0], outward[0]
        if slope < 0 and not is_higher:
            before, low = low, (length, slope)
        else:
            high = length, abs(slope)
        length = _longer(before, low) if high is None else _between(low, high)
    return 0.0, state.value[row], state.outward[row]


def _longer(before: tuple[float, float], last: tuple[float, float]) -> float:
    """A length past the last of two (length, slope), both of which fall."""
    flattens = last[1] - before[1]
    more = -last[1] * (last[0] - before[0]) / flattens if flattens > 0 else torch.inf
    return last[0] + min(max(more, INSIDE * last[0]), LONGEST * last[0])


def _between(low: tuple[float, float], high: tuple[float, float]) -> float:
    """A length between two (length, slope), of which the first falls and the second rises."""
    stretch = high[0] - low[0]
    share = low[1] / (low[1] - high[1])
    return low[0] + stretch * min(max(share, INSIDE), 1 - INSIDE)


def _direction(state: _State, pairs: list[CurvaturePair]) -> Tensor:
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
