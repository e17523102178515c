"""Penalised linear models solved to their optimum: L-BFGS over a path of penalties."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.curvature import RoundCoordinates
from emo.heads.lbfgs import lbfgs

SPARSE_BELOW = 0.05
"""Share of non-zeros under which products skip the zeros (hashed text has 0.5 %)."""

WIDEST_COVARIANCE = 4096
"""Columns; of more, their covariance costs more than it saves, and variances must do."""
WIDE = 1.3
"""Columns a clip from which the clips' own coordinates are worth finding."""
COVARIANCE_BLOCK = 256
"""Columns multiplied at a time."""
TOLERANCE, LEAST = 5e-5, 1e-5
"""Of the gradient's length in round coordinates. Looser ones change no loss that float32 can see,
but under weak penalties the probabilities of held-out clips, by .02."""

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
    used = rows.any(0).nonzero().squeeze(1)
    rows = rows if len(used) == rows.shape[1] else rows[:, used]
    rows, axes = _few_columns(rows)
    centre = rows.mean(0, dtype=torch.float64).float()
    multiply, strengths = _product(rows), rows.new_tensor(penalties)
    is_square = isinstance(multiply, _Dense) and rows.shape[1] <= WIDEST_COVARIANCE
    covariance = _covariance(rows, centre) if is_square else _variances(rows, centre)
    shape = len(rows), outputs
    coordinates = RoundCoordinates(loss, covariance, penalties, shape=shape)

    def logits_of(weight: Tensor, bias: Tensor) -> Tensor:
        """(p, C, D), (p, C) -> (p, C, N): cross-entropy is five times faster with clips last."""
        flat = weight.flatten(0, 1)  # (p · C, D)
        shift = bias.flatten() - flat @ centre
        return (multiply(flat) + shift[:, None]).view(*bias.shape, -1)

    def objective(flat: Tensor, which: Tensor) -> Tensor:
        weight, bias = coordinates(flat, which)
        losses = torch.stack([loss(logits.T) for logits in logits_of(weight, bias)])
        return losses + strengths[which] / 2 * weight.square().sum((1, 2))

    found = lbfgs(objective, coordinates.start(), tolerance=TOLERANCE, least=LEAST, first_scale=1.0)
    weights, biases = coordinates(found, torch.arange(len(penalties)))
    losses = [loss(logits.T).item() for logits in logits_of(weights, biases)]
    for penalty, solved, bias, value in zip(penalties, weights, biases, losses, strict=True):
        weight = rows.new_zeros(outputs, width)
        weight[:, used] = solved if axes is None else solved @ axes.T
        yield Solution(penalty, weight, bias - solved @ centre, value)


def _few_columns(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Of more columns than clips, the clips' coordinates (N, N) and their axes (D, N).

    The best weights lie in the span of the clips, where they are as long in either coordinates.
    """
    is_wide = rows.shape[1] >= WIDE * rows.shape[0]
    if not is_wide or int(rows.count_nonzero()) < SPARSE_BELOW * rows.numel():
        return rows, None
    axes, coordinates = torch.linalg.qr(rows.T)
    return coordinates.T.contiguous(), axes


def _covariance(rows: Tensor, centre: Tensor) -> Tensor:
    """(N, D) -> (D, D), of which only blocks on and above the diagonal are multiplied."""
    products = rows.new_empty(rows.shape[1], rows.shape[1])
    for first in range(0, rows.shape[1], COVARIANCE_BLOCK):
        end = min(first + COVARIANCE_BLOCK, rows.shape[1])
        above = rows[:, :end].T @ rows[:, first:end]
        products[:end, first:end] = above
        products[first:end, :end] = above.T
    found: Tensor = products.div_(len(rows)).addr_(centre, centre, alpha=-1)
    return found


def _variances(rows: Tensor, centre: Tensor) -> Tensor:
    """(N, D) -> (D,)."""
    squares: Tensor = torch.linalg.vector_norm(rows, dim=0).square() / len(rows)
    return (squares - centre.square()).clamp(min=0)


class _Dense:
    """``weight (C, D) -> (C, N)``."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows

    def __call__(self, weight: Tensor) -> Tensor:
        return weight @ self._rows.T


def _product(rows: Tensor) -> Callable[[Tensor], Tensor]:
    """``weight (C, D) -> (C, N)``, by the non-zeros alone when they are few."""
    if int(rows.count_nonzero()) >= SPARSE_BELOW * rows.numel():
        return _Dense(rows)
    clips, columns = rows.nonzero(as_tuple=True)
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
