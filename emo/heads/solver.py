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

    found = lbfgs(objective, rows.new_zeros(len(penalties), outputs * (len(used) + 1)))
    losses = [loss(logits.T).item() for logits in logits_of(found)]
    for penalty, flat, value in zip(penalties, found, losses, strict=True):
        solved = flat.view(outputs, -1)
        weight = rows.new_zeros(outputs, width)
        weight[:, used] = solved[:, :-1]
        yield Solution(penalty, weight, solved[:, -1] - solved[:, :-1] @ centre, value)


def _product(rows: Tensor) -> Callable[[Tensor], Tensor]:
    """``weight (C, D) -> (C, N)``, by the non-zeros alone when they are few."""
    clips, columns = rows.nonzero(as_tuple=True)
    if len(columns) >= SPARSE_BELOW * rows.numel():
        return lambda weight: weight @ rows.T
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
