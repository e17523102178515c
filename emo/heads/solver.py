"""Penalised linear models solved to their optimum: L-BFGS over a path of penalties."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.lbfgs import lbfgs

SPARSE_BELOW = 0.05
"""Share of non-zeros under which products skip the zeros (hashed text has 0.5 %)."""

WIDEST_GRAM = 4096
"""Columns; of more, their covariance costs more than it saves."""

_Bags = tuple[Tensor, Tensor, Tensor]
"""Which rows of a table each bag adds, the offsets of the bags, and the factors."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The optimum at one penalty: ``rows @ weight.T + bias``."""

    penalty: float
    weight: Tensor
    """(C, D)."""
    bias: Tensor
    """(C,), not penalised."""
    loss: float
    """Without the penalty."""


def solve_path(
    rows: Tensor, loss: Callable[[Tensor], Tensor], *, outputs: int, penalties: Sequence[float]
) -> Iterator[Solution]:
    """Minimise ``loss(logits) + penalty / 2 · |weight|²`` for all penalties together.

    The same as scikit-learn's LogisticRegression with C = 1 / (penalty · N) when ``loss`` is the
    mean cross-entropy. Columns are centred for the solver only (the free bias undoes it exactly),
    and columns which are always zero keep a weight of zero.

    Args:
        rows: (N, D) float32, scaled.
        loss: (N, C) logits -> scalar, convex.
        outputs: C.
        penalties: P of them.
    """
    width = rows.shape[1]
    used = (rows != 0).any(0).nonzero().squeeze(1)
    rows = rows if len(used) == rows.shape[1] else rows[:, used]
    centre = rows.double().mean(0).float()
    multiply, strengths = _product(rows), rows.new_tensor(penalties)

    def logits_of(flat: Tensor) -> Tensor:
        """(P, K) -> (P, C, N): cross-entropy is five times faster with the clips last."""
        both = flat.view(len(flat), outputs, -1)  # (P, C, D + 1), the last column is the bias
        weight = both[..., :-1].flatten(0, 1)  # (P · C, D)
        shift = both[..., -1].reshape(-1) - weight @ centre
        return (multiply(weight) + shift[:, None]).view(len(flat), outputs, -1)

    def objective(flat: Tensor, which: Tensor) -> Tensor:
        squares = flat.view(len(flat), outputs, -1)[..., :-1].square().sum((1, 2))
        losses = torch.stack([loss(logits.T) for logits in logits_of(flat)])
        return losses + strengths[which] / 2 * squares

    start = rows.new_zeros(len(penalties), outputs * (len(used) + 1))
    if isinstance(multiply, _Dense) and rows.shape[1] <= WIDEST_GRAM:
        guess = _Curvature(rows, centre, outputs, strengths)
        found = lbfgs(objective, start, precondition=guess)
    else:
        found = lbfgs(objective, start)
    losses = [loss(logits.T).item() for logits in logits_of(found)]
    for penalty, flat, value in zip(penalties, found, losses, strict=True):
        solved = flat.view(outputs, -1)
        weight = rows.new_zeros(outputs, width)
        weight[:, used] = solved[:, :-1]
        yield Solution(penalty, weight, solved[:, -1] - solved[:, :-1] @ centre, value)


class _Curvature:
    """The inverse of a bound on the Hessian of the mean cross-entropy, for each penalty.

    (1 - 1/C) / 2 times the columns' covariance, plus the penalty: with it L-BFGS needs a tenth of
    the passes over the data. Penalties within a factor of ten share one factorisation. Source:
    Böhning 1992 (Multinomial logistic regression algorithm), theorem 2.
    """

    def __init__(self, rows: Tensor, centre: Tensor, outputs: int, penalties: Tensor) -> None:
        self._outputs, self._share = outputs, (1 - 1 / max(outputs, 2)) / 2
        bound = (rows.T @ rows / len(rows) - centre[:, None] * centre) * self._share
        self._decade = penalties.clamp(min=1e-7).log10().round().long()  # (P,)
        self._factors = {}
        for decade in sorted(set(self._decade.tolist())):
            factor, failed = torch.linalg.cholesky_ex(bound + 10.0**decade * torch.eye(len(bound)))
            self._factors[decade] = factor if not failed else None

    def __call__(self, gradient: Tensor, which: Tensor) -> Tensor:
        both = gradient.view(len(gradient), self._outputs, -1)  # (p, C, D + 1)
        found = both / self._share
        for decade, factor in self._factors.items():
            mine = self._decade[which] == decade
            if factor is not None and mine.any():
                flat = both[mine][..., :-1].flatten(0, 1)  # (p · C, D)
                solved = torch.cholesky_solve(flat.T.contiguous(), factor).T
                found[mine, :, :-1] = solved.view(-1, *both.shape[1:2], both.shape[2] - 1)
        return found.flatten(1)


class _Dense:
    """``weight (C, D) -> (C, N)``."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows

    def __call__(self, weight: Tensor) -> Tensor:
        return weight @ self._rows.T


def _product(rows: Tensor) -> Callable[[Tensor], Tensor]:
    """``weight (C, D) -> (C, N)``, by the non-zeros alone when they are few."""
    clips, columns = rows.nonzero(as_tuple=True)
    if len(columns) >= SPARSE_BELOW * rows.numel():
        return _Dense(rows)
    values = rows[clips, columns]
    by_column = columns.argsort(stable=True)
    across = (columns, _offsets(clips, rows.shape[0]), values)
    down = (clips[by_column], _offsets(columns, rows.shape[1]), values[by_column])
    return lambda weight: _SparseProduct.apply(weight, across, down)  # type: ignore[no-untyped-call]


class _SparseProduct(torch.autograd.Function):
    """Both directions as sums over non-zeros; torch's own gradient of them is 20 times slower."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, across: _Bags, down: _Bags) -> Tensor:
        ctx.down = down
        return _sum_bags(weight, across)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _sum_bags(gradient, ctx.down), None, None


def _sum_bags(table: Tensor, bags: _Bags) -> Tensor:
    """(C, columns of the table) -> (C, bags)."""
    columns, offsets, values = bags
    sums = functional.embedding_bag(
        columns, table.T.contiguous(), offsets, mode="sum", per_sample_weights=values,
        include_last_offset=True,
    )  # fmt: skip
    return sums.T.contiguous()


def _offsets(groups: Tensor, count: int) -> Tensor:
    offsets = torch.zeros(count + 1, dtype=torch.int64)
    torch.cumsum(groups.bincount(minlength=count), 0, out=offsets[1:])
    return offsets
