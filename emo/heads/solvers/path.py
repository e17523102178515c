"""Penalised linear models solved to their optimum: L-BFGS over a path of penalties."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.solvers.lbfgs import Objective, lbfgs
from emo.heads.solvers.preconditioner import Factors, RoundCoordinates, bends_of

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
BIAS_STEPS = 30

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
    centre = rows.mean(0)
    products = _product(rows)
    is_square = isinstance(products, _Dense) and rows.shape[1] <= WIDEST_COVARIANCE
    covariance = _covariance(rows, centre) if is_square else _variances(rows, centre)
    model = _Model(loss, products, centre, outputs, rows.new_tensor(penalties))
    weights, biases, losses = _optima(model, Factors(covariance))
    for penalty, solved, bias, value in zip(penalties, weights, biases, losses, strict=True):
        weight = rows.new_zeros(outputs, width)
        weight[:, used] = solved if axes is None else solved @ axes.T
        yield Solution(penalty, weight, bias - solved @ centre, value.item())


@dataclass(frozen=True, eq=False)
class _Model:
    """The penalised loss of weights and biases on centred columns.

    An image (p, C, N + D) holds the logits, clips last because cross-entropy is five times faster
    so, and the weights.
    """

    loss: Callable[[Tensor], Tensor]
    rows: "_Rows"
    centre: Tensor
    outputs: int
    strengths: Tensor
    """(P,) the penalties."""

    def image(self, weight: Tensor, bias: Tensor) -> Tensor:
        """(p, C, D), (p, C) -> (p, C, N + D)."""
        flat = weight.flatten(0, 1)  # (p · C, D)
        shift = bias.flatten() - flat @ self.centre
        logits = self.rows.across(flat).add_(shift[:, None])
        return torch.cat([logits.view(*bias.shape, -1), weight], dim=2)

    def adjoint(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The transpose of :meth:`image`."""
        clips = self.rows.shape[0]
        slopes = image[..., :clips].flatten(0, 1).contiguous()  # (p · C, N)
        bias = slopes.sum(1)
        weight = self.rows.down(slopes).addr_(bias, self.centre, alpha=-1)
        return weight.view(*image.shape[:2], -1) + image[..., clips:], bias.view(image.shape[:2])

    def outer(self, image: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Values (p,) of the penalised loss, and their gradients by the images."""
        clips = self.rows.shape[0]
        logits, weight = image[..., :clips], image[..., clips:]
        losses, slopes = zip(*map(self._slope, logits), strict=True)
        strengths = self.strengths[which]
        pulls = strengths[:, None, None] * weight
        values = torch.stack(losses) + (pulls * weight).sum((1, 2)) / 2
        return values, torch.cat([torch.stack(slopes), pulls], dim=2)

    def _slope(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(C, N) -> the loss, and its gradient (C, N)."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            value = self.loss(leaf.T)
            (gradient,) = torch.autograd.grad(value, leaf)
        return value.detach(), gradient

    def _loss_alone(self, image: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = self._slope(image[0])
        return value[None], gradient[None]

    def best_bias(self) -> Tensor:
        """(C,) with weights of zero."""
        clips = self.rows.shape[0]
        objective = Objective(
            linear=lambda row, _: row[..., None].expand(*row.shape, clips),
            adjoint=lambda image, _: image.sum(2),
            outer=self._loss_alone,
        )
        start = self.centre.new_zeros(1, self.outputs, clips)
        return lbfgs(objective, start, steps=BIAS_STEPS).row[0]


def _optima(model: _Model, factors: Factors) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (P, C, D), biases (P, C) and losses (P,)."""
    count, clips = len(model.strengths), model.rows.shape[0]
    bias = model.best_bias()
    start = bias.new_zeros(count, model.outputs, clips + len(model.centre))
    start[..., :clips] = bias[:, None]
    bends = bends_of(model.loss, start[0, :, :clips])
    coordinates = RoundCoordinates(bends, factors, model.strengths)
    objective = Objective(
        linear=lambda row, which: model.image(*coordinates.weights(row, which)),
        adjoint=lambda image, which: coordinates.adjoint(*model.adjoint(image), which),
        outer=model.outer,
    )
    found = lbfgs(objective, start, tolerance=TOLERANCE, least=LEAST, first_scale=1.0)
    weights, biases = coordinates.weights(found.row, torch.arange(count))
    losses = found.value - model.strengths / 2 * weights.square().sum((1, 2))
    return weights, bias + biases, losses


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
    """Products of the rows with weights and with gradients."""

    def __init__(self, rows: Tensor) -> None:
        self.shape = rows.shape
        self._rows = rows

    def across(self, weight: Tensor) -> Tensor:
        """(C, D) -> (C, N)."""
        return weight @ self._rows.T

    def down(self, slopes: Tensor) -> Tensor:
        """(C, N) -> (C, D)."""
        return slopes @ self._rows


class _Sparse:
    """The same by the non-zeros alone; torch's own sparse products are 20 times slower."""

    def __init__(self, rows: Tensor) -> None:
        self.shape = rows.shape
        clips, columns = rows.nonzero(as_tuple=True)
        values = rows[clips, columns]
        by_column = columns.argsort(stable=True)
        self._across = columns, _offsets(clips, rows.shape[0]), values
        offsets = _offsets(columns, rows.shape[1])
        self._down = clips[by_column], offsets, values[by_column]

    def across(self, weight: Tensor) -> Tensor:
        return _sum_bags(weight, self._across)

    def down(self, slopes: Tensor) -> Tensor:
        return _sum_bags(slopes, self._down)


_Rows = _Dense | _Sparse


def _product(rows: Tensor) -> _Rows:
    """Sparse when non-zeros are few."""
    is_dense = int(rows.count_nonzero()) >= SPARSE_BELOW * rows.numel()
    return _Dense(rows) if is_dense else _Sparse(rows)


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
