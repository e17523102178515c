"""Coordinates in which a penalised linear model is nearly round: its solver needs few steps."""

from collections.abc import Callable

import torch
from torch import Tensor

FLATTEST = 1e-3
"""Share of the largest curvature; classes that bend less count as if they bent so much."""
LOWEST = 1e-6
"""Share of the largest eigenvalue; float32 cannot factor what is nearer to singular."""
FLAT_FROM = 0.3
"""Share of the largest eigenvalue; a higher ridge makes the blocks round by itself."""
FLAT = 1_000
"""Where no factor is needed."""
POWERS = 20
INVERTED_BLOCK = 128
"""Columns of a factor up to which its inverse is found by substitution."""


class Factors:
    """Inverses of Cholesky factors of a covariance with ridges, one a decade of ridge."""

    def __init__(self, covariance: Tensor) -> None:
        """With the covariance of the columns (D, D), or its diagonal alone (D,)."""
        self._covariance = covariance
        self._found: dict[int, Tensor] = {}
        self.highest = _highest(covariance)

    def divide(self, rows: Tensor, decade: int) -> Tensor:
        """(r, D) -> the rows times the inverse of the factor at a ridge of ``10 ** decade``."""
        inverse = self._inverse(decade)
        return rows * inverse if inverse.ndim == 1 else rows @ inverse

    def divide_transposed(self, rows: Tensor, decade: int) -> Tensor:
        """(r, D) -> the rows times the transpose of the inverse."""
        inverse = self._inverse(decade)
        return rows * inverse if inverse.ndim == 1 else rows @ inverse.T

    def _inverse(self, decade: int) -> Tensor:
        if decade not in self._found:
            self._found[decade] = _inverse_factor(self._covariance, 10.0**decade)
        return self._found[decade]


class RoundCoordinates:
    """``(p, C · (D + 1))`` coordinates -> weights (p, C, D) and biases (p, C), for P penalties.

    While the clips' logits bend the loss alike, its Hessian is the product of A (C, C), how it
    bends with the biases, and the covariance of the columns. In the eigenvectors of A it falls
    apart into ``a · (covariance + penalty / a)``, one block a class, and in the coordinates of
    these blocks' Cholesky factors it is the identity. A factor serves a decade of ``penalty / a``;
    where that is most of the covariance, its root alone does. Source: Böhning 1992 (Multinomial
    logistic regression algorithm), with the curvature at the origin instead of its bound.
    """

    def __init__(
        self,
        bends: Tensor,
        factors: Factors,
        penalties: Tensor,
    ) -> None:
        """Turn to the eigenvectors.

        Args:
            bends: (C, C) the Hessian of the loss by the biases.
            factors: of the columns' covariance.
            penalties: (P,).
        """
        self._factors = factors
        found, self._eigenvectors = torch.linalg.eigh(bends)
        highest = float(found.max())
        found = found.clamp(min=FLATTEST * highest) if highest > 0 else torch.ones_like(found)
        self._spread = found.rsqrt()[:, None]  # (C, 1)
        ratios = penalties[:, None] / found  # (P, C)
        lowest = ratios.new_tensor(max(factors.highest, 1e-12) * LOWEST)
        is_flat = ratios >= FLAT_FROM * factors.highest
        self._scale = torch.where(is_flat, ratios.rsqrt(), 1.0)
        decades = ratios.maximum(lowest).log10().round().long()
        self._decade = torch.where(is_flat, FLAT, decades)

    def weights(self, flat: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """(p, C · (D + 1)) of penalties ``which`` -> weights (p, C, D) and biases (p, C)."""
        both = flat.view(len(flat), len(self._eigenvectors), -1) * self._spread  # (p, C, D + 1)
        weight = self._factored(both[..., :-1], which, Factors.divide)
        return self._eigenvectors @ weight, both[..., -1] @ self._eigenvectors.T

    def adjoint(self, weight: Tensor, bias: Tensor, which: Tensor) -> Tensor:
        """The transpose of :meth:`weights`, for gradients."""
        blocks = self._factored(self._eigenvectors.T @ weight, which, Factors.divide_transposed)
        both = torch.cat([blocks, (bias @ self._eigenvectors)[..., None]], dim=2)
        return (both * self._spread).flatten(1)

    def _factored(
        self, blocks: Tensor, which: Tensor, divide: Callable[[Factors, Tensor, int], Tensor]
    ) -> Tensor:
        """(p, C, D), each row divided by the factor of its decade."""
        found = (blocks * self._scale[which][..., None]).flatten(0, 1)  # (p · C, D)
        decades = self._decade[which].flatten()  # (p · C,)
        for decade in set(decades.tolist()) - {FLAT}:
            mine = (decades == decade).nonzero().squeeze(1)
            found[mine] = divide(self._factors, found[mine], decade)
        return found.view_as(blocks)


def bends_of(loss: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """(C, N) logits -> the Hessian (C, C) of the loss by biases added to them."""
    with torch.enable_grad():
        leaf = logits.new_zeros(len(logits)).requires_grad_()
        (slope,) = torch.autograd.grad(loss(logits.T + leaf), leaf, create_graph=True)
        rows = [torch.autograd.grad(each, leaf, retain_graph=True)[0] for each in slope]
    found = torch.stack(rows)
    return (found + found.T) / 2


def _highest(covariance: Tensor) -> float:
    """Its largest eigenvalue, by the power method."""
    if covariance.ndim == 1:
        return float(covariance.max())
    vector = covariance.sum(1)
    for _ in range(POWERS):
        vector = covariance @ (vector / vector.norm().clamp(min=1e-12))
    return float(vector.norm())


def _inverse_factor(covariance: Tensor, ridge: float) -> Tensor:
    """Of the Cholesky factor (D, D), or a diagonal one (D,), of the covariance with a ridge."""
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
    """Write the inverse of a lower triangle, by halves: products are faster than substitution."""
    width = len(factor)
    if width <= INVERTED_BLOCK:
        found.copy_(torch.linalg.solve_triangular(factor, torch.eye(width), upper=False))
        return
    first, last = slice(width // 2), slice(width // 2, None)
    _invert(factor[first, first], found[first, first])
    _invert(factor[last, last], found[last, last])
    below = found[last, last] @ factor[last, first]
    torch.matmul(below, found[first, first].neg(), out=found[last, first])
