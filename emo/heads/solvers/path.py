"""Solve a penalised linear model to its optimum with L-BFGS, at all penalties of a path at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emo.heads.solvers.lbfgs import Objective, lbfgs
from emo.heads.solvers.preconditioner import CovarianceFactors, WhitenedCoordinates, bias_hessian
from emo.heads.solvers.products import (
    DenseProducts,
    Products,
    is_sparse,
    products_of,
    times_transposed,
)

WIDEST_COVARIANCE = 4096
"""Largest number of columns for which the covariance is worth computing; with more columns, their
variances are used."""
WIDE = 1.3
"""Number of columns for each clip from which a QR decomposition of the clips is worth computing."""
COVARIANCE_BLOCK = 256
"""Number of columns that are multiplied at a time."""
TOLERANCE, LEAST = 5e-5, 1e-5
"""Relative and absolute norm of the gradient, in whitened coordinates, at which the solver stops.
Larger ones change no loss that float32 can tell apart, but under weak penalties the probabilities
of held-out clips change by .02."""
TRIAL_TOLERANCE = 1e-2
"""Relative norm of the gradient that is enough to compare models by their scores on other clips."""
BIAS_STEPS = 30
"""Largest number of steps when only biases are solved."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The optimum at one penalty: ``rows @ weight.T + bias``."""

    penalty: float
    """Penalty of this solution: factor of ``|weight|² / 2``."""
    weight: Tensor
    """Weights, float32 (C, D)."""
    bias: Tensor
    """Biases, float32 (C,), which are not penalised."""
    loss: float
    """Training loss without the penalty."""


def solve_path(
    rows: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    outputs: int,
    penalties: Sequence[float],
    covariance: Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> Iterator[Solution]:
    """Minimise ``loss(logits) + penalty / 2 · |weight|²`` for all penalties together.

    If ``loss`` is the mean cross-entropy, the solutions are those of scikit-learn's
    LogisticRegression with C = 1 / (penalty · N). Columns are centred for the solver only; the bias
    is free, so that this changes no solution. A column that is always zero has a weight of zero.

    Args:
        rows: float32 (N, D), scaled.
        loss: maps the logits of p models, float32 (p, N, C), to their losses (p,); convex.
        outputs: number of logits C.
        penalties: the P penalties.
        covariance: float32 (D, D), what :func:`covariance_of` returned for these columns, if it is
            known; None: it is computed where it is worth it.
        tolerance: relative norm of the gradient at which the solver stops.

    Yields:
        The solution at each penalty, in their order.
    """
    width = rows.shape[1]
    used = rows.any(0).nonzero().squeeze(1)
    rows = rows if len(used) == rows.shape[1] else rows[:, used]
    rows, axes = _few_columns(rows)
    centre = rows.mean(0)
    products = products_of(rows)
    is_square = isinstance(products, DenseProducts) and rows.shape[1] <= WIDEST_COVARIANCE
    if not is_square:
        covariance = _variances(rows, centre)
    elif covariance is None or axes is not None:
        covariance = _covariance(rows, centre)
    elif len(used) < width:
        covariance = covariance[used][:, used]
    model = _Model(loss, products, centre, outputs, rows.new_tensor(penalties))
    weights, biases, losses = _optima(model, CovarianceFactors(covariance), tolerance)
    for penalty, solved, bias, value in zip(penalties, weights, biases, losses, strict=True):
        weight = rows.new_zeros(outputs, width)
        weight[:, used] = solved if axes is None else solved @ axes.T
        yield Solution(penalty, weight, bias - solved @ centre, value.item())


@dataclass(frozen=True, eq=False)
class _Model:
    """The penalised losses of a linear model on centred columns, as functions for L-BFGS.

    An image, (p, C, N + D), holds logits (p, C, N) and weights (p, C, D). Clips are the last axis
    because cross-entropy is five times faster that way.
    """

    loss: Callable[[Tensor], Tensor]
    """Training loss: a function of logits (p, N, C) that returns p numbers."""
    rows: Products
    """Products with the inputs (N, D), dense or sparse."""
    centre: Tensor
    """float32 (D,): mean of each column."""
    outputs: int
    """Number of logits C."""
    penalties: Tensor
    """Penalties, float32 (P,): factors of ``|weight|² / 2``."""

    def image(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the image (p, C, N + D), logits and weights side by side, of weights (p, C, D) and
        biases (p, C)."""
        flat = weight.flatten(0, 1)  # (p · C, D)
        shift = bias.flatten() - flat @ self.centre
        logits = self.rows.across(flat).add_(shift[:, None])
        return torch.cat([logits.view(*bias.shape, -1), weight], dim=2)

    def adjoint(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (p, C, N + D) to weights (p, C, D) and biases (p, C).

        This is the transpose of :meth:`image`.
        """
        clips = self.rows.shape[0]
        slopes = image[..., :clips].flatten(0, 1).contiguous()  # (p · C, N)
        bias = slopes.sum(1)
        weight = self.rows.down(slopes).addr_(bias, self.centre, alpha=-1)
        return weight.view(*image.shape[:2], -1) + image[..., clips:], bias.view(image.shape[:2])

    def outer(self, image: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Return penalised losses (p,), and the gradients of these by the images (p, C, N + D).

        Args:
            image: (p, C, N + D).
            which: int64 (p,), indices of the penalties.
        """
        clips = self.rows.shape[0]
        logits, weight = image[..., :clips], image[..., clips:]
        losses, slopes = self._slopes(logits)
        of_weights = self.penalties[which][:, None, None] * weight
        values = losses + (of_weights * weight).sum((1, 2)) / 2
        return values, torch.cat([slopes, of_weights], dim=2)

    def _slopes(self, logits: Tensor, _: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the losses (p,) of logits (p, C, N) without penalties, and their gradients."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            values = self.loss(leaf.transpose(1, 2))
            (gradients,) = torch.autograd.grad(values.sum(), leaf)
        return values.detach(), gradients

    def best_bias(self) -> Tensor:
        """Return the optimal biases, float32 (C,), of weights of zero."""
        clips = self.rows.shape[0]
        objective = Objective(
            linear=lambda row, _: row[..., None].expand(*row.shape, clips),
            adjoint=lambda image, _: image.sum(2),
            outer=self._slopes,
        )
        start = self.centre.new_zeros(1, self.outputs, clips)
        return lbfgs(objective, start, steps=BIAS_STEPS).row[0]


def _optima(
    model: _Model, factors: CovarianceFactors, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return optimal weights (P, C, D), biases (P, C) and losses without penalties (P,)."""
    count, clips = len(model.penalties), model.rows.shape[0]
    bias = model.best_bias()
    start = bias.new_zeros(count, model.outputs, clips + len(model.centre))
    start[..., :clips] = bias[:, None]
    hessian = bias_hessian(model.loss, start[0, :, :clips])
    coordinates = WhitenedCoordinates(hessian, factors, model.penalties)
    objective = Objective(
        linear=lambda row, which: model.image(*coordinates.weights(row, which)),
        adjoint=lambda image, which: coordinates.adjoint(*model.adjoint(image), which),
        outer=model.outer,
    )
    found = lbfgs(objective, start, tolerance=tolerance, least=LEAST, first_scale=1.0)
    weights, biases = coordinates.weights(found.row, torch.arange(count))
    losses = found.value - model.penalties / 2 * weights.square().sum((1, 2))
    return weights, bias + biases, losses


def _few_columns(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Reduce dense inputs with many more columns than clips to N columns.

    The optimal weights lie in the span of the clips, and have the same length in an orthonormal
    basis of it.

    Returns:
        The inputs in that basis, (N, N), and the basis, (D, N); or the inputs unchanged, and None.
    """
    is_wide = rows.shape[1] >= WIDE * rows.shape[0]
    if not is_wide or is_sparse(rows):
        return rows, None
    axes, coordinates = torch.linalg.qr(rows.T)
    return coordinates.T.contiguous(), axes


def covariance_of(rows: Tensor) -> Tensor | None:
    """Return the covariance of the columns, float32 (D, D), for :func:`solve_path`.

    Several models that read some of the columns each can share it. None: they are too many or too
    sparse for it.
    """
    is_wide = rows.shape[1] >= WIDE * rows.shape[0]
    if rows.shape[1] > WIDEST_COVARIANCE or is_wide or is_sparse(rows):
        return None
    return _covariance(rows, rows.mean(0))


def _covariance(rows: Tensor, centre: Tensor) -> Tensor:
    """Return the covariance of the columns: (N, D) -> (D, D).

    Only blocks on and above the diagonal are multiplied.
    """
    products = rows.new_empty(rows.shape[1], rows.shape[1])
    columns = rows.T.contiguous()  # oneDNN wants whole rows
    for first in range(0, rows.shape[1], COVARIANCE_BLOCK):
        end = min(first + COVARIANCE_BLOCK, rows.shape[1])
        above = times_transposed(columns[:end], columns[first:end])
        products[:end, first:end] = above
        products[first:end, :end] = above.T
    found: Tensor = products.div_(len(rows)).addr_(centre, centre, alpha=-1)
    return found


def _variances(rows: Tensor, centre: Tensor) -> Tensor:
    """Return the variance of each column: (N, D) -> (D,)."""
    squares: Tensor = torch.linalg.vector_norm(rows, dim=0).square() / len(rows)
    return (squares - centre.square()).clamp(min=0)
