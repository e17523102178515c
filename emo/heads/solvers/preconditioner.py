"""Preconditioning: coordinates in which the Hessian of a penalised linear model is nearly the
identity, so that its solver needs few steps.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from emo.heads.solvers.products import times_transposed

FLATTEST = 1e-3
"""Least eigenvalue of the Hessian by the biases that is used, as a share of the largest."""
LOWEST = 1e-6
"""Least ridge, as a share of the covariance's largest eigenvalue; with a smaller one the matrix is
too close to singular for a float32 factor."""
RIDGE_ONLY_FROM = 0.3
"""Ridge, as a share of the covariance's largest eigenvalue, from which the ridge alone is used."""
RIDGE_ONLY = 1_000
"""Number instead of a decade where the ridge alone is used, and no factor is needed."""
POWERS = 20
"""Number of iterations of the power method that finds the largest eigenvalue."""
INVERTED_BLOCK = 128
"""Largest number of columns of a triangular factor that is inverted by substitution."""


class CovarianceFactors:
    """Inverse Cholesky factors of a covariance plus ridges, one for each power of 10 of ridge."""

    def __init__(self, covariance: Tensor) -> None:
        """Keep the covariance of the columns, float32 (D, D), or its diagonal alone, (D,)."""
        self._covariance = covariance
        self._found: dict[int, Tensor] = {}
        self.highest = _highest(covariance)

    def divide(self, rows: Tensor, decade: int) -> Tensor:
        """Multiply rows (r, D) by the inverse of the factor at a ridge of ``10 ** decade``."""
        inverse = self._inverse(decade)
        return rows * inverse if inverse.ndim == 1 else times_transposed(rows, inverse.T)

    def divide_transposed(self, rows: Tensor, decade: int) -> Tensor:
        """Multiply rows (r, D) by the transposed inverse of the factor, see :meth:`divide`."""
        inverse = self._inverse(decade)
        return rows * inverse if inverse.ndim == 1 else times_transposed(rows, inverse)

    def _inverse(self, decade: int) -> Tensor:
        """Return the inverse factor, (D, D) or a diagonal (D,); each is computed once."""
        if decade not in self._found:
            self._found[decade] = _inverse_factor(self._covariance, 10.0**decade)
        return self._found[decade]


class WhitenedCoordinates:
    """Coordinates (p, C · (D + 1)) of weights (p, C, D) and biases (p, C), for P penalties.

    If the loss has the same curvature in the logits of every clip, its Hessian is the Kronecker
    product of A, (C, C), the Hessian by the biases, and the covariance of the columns. In the
    eigenvectors of A it is block-diagonal, with a block ``a · (covariance + penalty / a)`` for each
    eigenvalue a. In the coordinates of these blocks' Cholesky factors it is the identity. One
    factor is used for all ``penalty / a`` that round to the same power of 10; where the ridge is
    most of a block, its square root is used alone. Source: Böhning 1992 (Multinomial logistic
    regression algorithm), with the curvature at the origin instead of its bound.
    """

    def __init__(self, hessian: Tensor, factors: CovarianceFactors, penalties: Tensor) -> None:
        """Compute the eigenvectors of the Hessian, and the ridge of each block.

        Args:
            hessian: float32 (C, C), Hessian of the loss by the biases.
            factors: factors of the columns' covariance.
            penalties: float32 (P,).
        """
        self._factors = factors
        found, self._eigenvectors = torch.linalg.eigh(hessian)
        highest = float(found.max())
        found = found.clamp(min=FLATTEST * highest) if highest > 0 else torch.ones_like(found)
        self._spread = found.rsqrt()[:, None]  # (C, 1)
        ratios = penalties[:, None] / found  # (P, C)
        lowest = ratios.new_tensor(max(factors.highest, 1e-12) * LOWEST)
        is_ridge_only = ratios >= RIDGE_ONLY_FROM * factors.highest
        self._scale = torch.where(is_ridge_only, ratios.rsqrt(), 1.0)
        decades = ratios.maximum(lowest).log10().round().long()
        self._decade = torch.where(is_ridge_only, RIDGE_ONLY, decades)

    def weights(self, flat: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Map coordinates (p, C · (D + 1)) to weights (p, C, D) and biases (p, C).

        Args:
            flat: the coordinates.
            which: int64 (p,), indices of the penalties.
        """
        both = flat.view(len(flat), len(self._eigenvectors), -1) * self._spread  # (p, C, D + 1)
        weight = self._factored(both[..., :-1], which, CovarianceFactors.divide)
        return self._eigenvectors @ weight, both[..., -1] @ self._eigenvectors.T

    def adjoint(self, weight: Tensor, bias: Tensor, which: Tensor) -> Tensor:
        """Map gradients by weights and biases to gradients by coordinates, (p, C · (D + 1)).

        This is the transpose of :meth:`weights`.

        Args:
            weight: gradients by the weights, (p, C, D).
            bias: gradients by the biases, (p, C).
            which: int64 (p,), indices of the penalties.
        """
        transposed = CovarianceFactors.divide_transposed
        blocks = self._factored(self._eigenvectors.T @ weight, which, transposed)
        both = torch.cat([blocks, (bias @ self._eigenvectors)[..., None]], dim=2)
        return (both * self._spread).flatten(1)

    def _factored(
        self,
        blocks: Tensor,
        which: Tensor,
        divide: Callable[[CovarianceFactors, Tensor, int], Tensor],
    ) -> Tensor:
        """Divide each row of blocks (p, C, D) by the factor of its ridge."""
        found = (blocks * self._scale[which][..., None]).flatten(0, 1)  # (p · C, D)
        decades = self._decade[which].flatten()  # (p · C,)
        for decade in set(decades.tolist()) - {RIDGE_ONLY}:
            mine = (decades == decade).nonzero().squeeze(1)
            found[mine] = divide(self._factors, found[mine], decade)
        return found.view_as(blocks)


def bias_hessian(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Return the Hessian of a loss by biases that are added to the logits, float32 (C, C).

    Args:
        loss: maps logits (1, N, C) to a loss (1,).
        logits: float32 (C, N).
    """
    with torch.enable_grad():
        leaf = logits.new_zeros(len(logits)).requires_grad_()
        (slope,) = torch.autograd.grad(loss((logits.T + leaf)[None]).sum(), leaf, create_graph=True)
        rows = [torch.autograd.grad(each, leaf, retain_graph=True)[0] for each in slope]
    found = torch.stack(rows)
    return (found + found.T) / 2


def _highest(covariance: Tensor) -> float:
    """Return the largest eigenvalue of a covariance (D, D) or (D,), by the power method."""
    if covariance.ndim == 1:
        return float(covariance.max())
    vector = covariance.sum(1)
    for _ in range(POWERS):
        vector = covariance @ (vector / vector.norm().clamp(min=1e-12))
    return float(vector.norm())


def _inverse_factor(covariance: Tensor, ridge: float) -> Tensor:
    """Return the inverse of the Cholesky factor of covariance plus ridge: (D, D) or (D,).

    The ridge is raised until the matrix can be factored.
    """
    if covariance.ndim == 1:
        found: Tensor = (covariance + ridge).rsqrt()
        return found
    while True:
        ridged = covariance.clone()
        ridged.diagonal().add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(ridged)
        if not failed:
            found = torch.zeros_like(factor)
            _invert(factor, found)
            return found
        ridge *= 10


def _invert(factor: Tensor, found: Tensor) -> None:
    """Write the inverse of a lower triangular matrix into ``found``.

    It is computed by halves, because products are faster than substitution.
    """
    width = len(factor)
    if width <= INVERTED_BLOCK:
        found.copy_(torch.linalg.solve_triangular(factor, torch.eye(width), upper=False))
        return
    first, last = slice(width // 2), slice(width // 2, None)
    _invert(factor[first, first], found[first, first])
    _invert(factor[last, last], found[last, last])
    below = found[last, last] @ factor[last, first]
    torch.matmul(below, found[first, first].neg(), out=found[last, first])
