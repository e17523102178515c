"""L-BFGS on many smooth functions at once, such as one linear model at many penalties.

The functions share each pass over the data, which takes most of the time. ``torch.optim`` minimises
one function, and imports torch's compiler for it (see ``training/adamw.py``).

Shapes: P functions, p of them not yet at their minimum, K variables of each.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

CurvaturePair = tuple[Tensor, Tensor, Tensor]
"""A step (p, K), the change of gradient over it (p, K), and the inverse of their inner product
(p,), which is 0 where the pair cannot be used."""
STEP_LENGTHS = 12
"""Number of step lengths that are tried before a function is taken to be at its minimum."""
FLAT_ENOUGH = 0.7
"""A step length is accepted where the slope along the line is at most this share of the first."""
LONGEST = 3.0
"""Largest increase of the step length, as a multiple of it, while the function still falls."""
LINE_VALUES = 2**16
"""Number of values in the images of the functions whose step lengths are tried in one call: few
enough for the cache of a core."""
INSIDE = 0.1
"""Least distance of a new length from the ends of its interval, as a share of the interval."""


@dataclass(frozen=True)
class Objective:
    """P functions ``outer(linear(row))``, whose linear part takes most of the time.

    The last argument of each field, ``which``, int64 (p,), holds the indices of the functions.
    """

    linear: Callable[[Tensor, Tensor], Tensor]
    """Maps rows of variables (p, K) to their images (p, …)."""
    adjoint: Callable[[Tensor, Tensor], Tensor]
    """Maps images (p, …) to rows (p, K) by the transpose of ``linear``."""
    outer: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """Maps images (p, …) to values (p,) and gradients by the images (p, …)."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """The points at which the minimisation of P functions ended."""

    image: Tensor
    """float32 (P, …): images of the points."""
    row: Tensor
    """float32 (P, K): variables, as differences from the start."""
    value: Tensor
    """float32 (P,): values of the functions."""


@dataclass(frozen=True, eq=False)
class _State:
    """The state of p functions that are not at their minimum yet."""

    which: Tensor
    """int64 (p,): indices of the functions."""
    image: Tensor
    """float32 (p, …): images of the current points."""
    row: Tensor
    """float32 (p, K): variables, as differences from the start."""
    value: Tensor
    """float32 (p,): values of the functions."""
    outward: Tensor
    """float32 (p, …): gradients by the images."""
    gradient: Tensor
    """float32 (p, K): gradients by the variables."""
    goal: Tensor
    """float32 (p,): norm of the gradient at which a function is at its minimum."""
    scale: Tensor
    """float32 (p,): factor of the identity as first approximation of the inverse Hessian."""

    def select(self, kept: Tensor) -> "_State":
        """Return the state of the functions where ``kept``, bool (p,), is True."""
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
    """Minimise P functions together, each over its own K variables.

    The line search of a step needs no pass over the data, because images are linear in the step.

    Args:
        objective: the functions.
        start: float32 (P, …), images of the starting points, whose rows are 0.
        steps: largest number of steps.
        tolerance: a function is at its minimum when the norm of its gradient is below this share
            of the first one,
        least: or below this number.
        first_scale: length of the first step as a multiple of the gradient; None: length 1.
        memory: number of pairs of steps and gradient changes that are kept.

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
        if not bool(is_open.all()):  # continue with the others only
            state = state.select(is_open)
            pairs = [(s[is_open], c[is_open], i[is_open]) for s, c, i in pairs]
    return found


def _step(
    objective: Objective, state: _State, pairs: list[CurvaturePair]
) -> tuple[_State, CurvaturePair]:
    """Take one step of each function; return the new state, and the step's curvature pair."""
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
    """Search a step length for each function.

    Args:
        objective: the functions.
        state: where they are.
        towards: (p, …), images of the directions.

    Returns:
        Lengths (p,), 0 where no length lowers the function; values (p,) and gradients by the
        images (p, …) at the new points.
    """
    firsts = (state.outward * towards).flatten(1).sum(1).tolist()
    lines = [_Line(*each) for each in zip(firsts, state.value.tolist(), strict=True)]
    values, outwards = state.value.clone(), state.outward.clone()
    still = [row for row, line in enumerate(lines) if line.first < 0]
    size = max(1, LINE_VALUES // max(1, towards[0].numel()))
    for _ in range(STEP_LENGTHS):
        failed = []
        for rows in (still[start : start + size] for start in range(0, len(still), size)):
            along = towards[rows]
            steps = towards.new_tensor([lines[row].length for row in rows])
            steps = steps.view(-1, *[1] * (towards.ndim - 1))
            value, outward = objective.outer(state.image[rows] + steps * along, state.which[rows])
            slopes = (outward * along).flatten(1).sum(1).tolist()
            found = zip(rows, value.tolist(), slopes, strict=True)
            good = [lines[row].is_good(each, slope) for row, each, slope in found]
            kept = [number for number, is_good in enumerate(good) if is_good]
            taken = [rows[number] for number in kept]
            values[taken], outwards[taken] = value[kept], outward[kept]
            failed += [row for row, is_good in zip(rows, good, strict=True) if not is_good]
        still = failed
        if not still:
            break
    for row in still:
        lines[row].length = 0.0
    return towards.new_tensor([line.length for line in lines]), values, outwards


class _Line:
    """The search for the step length of one function: where its slope is small enough.

    The length is found by secants: inside an interval at whose ends the function falls and rises,
    or beyond the last length as long as the function falls there.
    """

    def __init__(self, first: float, value: float) -> None:
        """Begin at length 1, given the slope and the value at length 0."""
        self.first = first
        self.length = 1.0 if first < 0 else 0.0
        self._highest = value + 1e-6 * abs(value)  # float32 cannot see smaller changes
        self._before = self._low = (0.0, first)
        self._high: tuple[float, float] | None = None

    def is_good(self, value: float, slope: float) -> bool:
        """Return whether the length is accepted, given what is found there; else choose another."""
        is_higher = not value <= self._highest
        if not is_higher and abs(slope) <= FLAT_ENOUGH * -self.first:
            return True
        if slope < 0 and not is_higher:
            self._before, self._low = self._low, (self.length, slope)
        else:
            self._high = self.length, abs(slope)
        if self._high is None:
            self.length = _longer(self._before, self._low)
        else:
            self.length = _between(self._low, self._high)
        return False


def _longer(before: tuple[float, float], last: tuple[float, float]) -> float:
    """Return a length beyond the last of two (length, slope) at which the function falls."""
    flattens = last[1] - before[1]
    more = -last[1] * (last[0] - before[0]) / flattens if flattens > 0 else torch.inf
    return last[0] + min(max(more, INSIDE * last[0]), LONGEST * last[0])


def _between(low: tuple[float, float], high: tuple[float, float]) -> float:
    """Return a length between two (length, slope): the function falls at the first, and rises at
    the second.
    """
    stretch = high[0] - low[0]
    share = low[1] / (low[1] - high[1])
    return low[0] + stretch * min(max(share, INSIDE), 1 - INSIDE)


def _direction(state: _State, pairs: list[CurvaturePair]) -> Tensor:
    """Multiply gradients by approximate inverse Hessians, (p, K), with the two-loop recursion."""
    direction, factors = state.gradient.clone(), []
    for step, change, inverse in reversed(pairs):
        factors.append(inverse * (step * direction).sum(1))
        direction -= factors[-1][:, None] * change
    direction *= state.scale[:, None]
    for (step, change, inverse), factor in zip(pairs, reversed(factors), strict=True):
        back = inverse * (change * direction).sum(1)
        direction += (factor - back)[:, None] * step
    return direction
