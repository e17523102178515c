"""Coordinates in which a penalised linear model is nearly round: its solver needs few steps."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from emo.heads.lbfgs import lbfgs

FLATTEST = 1e-3
"""Share of the largest curvature; classes that bend less count as if they bent so much."""
LOWEST = 1e-6
"""Share of the largest eigenvalue; float32 cannot factor what is nearer to singular."""
FLAT = 1_000
"""Where no factor is needed."""
POWERS = 20
BIAS_STEPS = 30


class RoundCoordinates:
    """``(p, C · (D + 1))`` coordinates -> weights (p, C, D) and biases (p, C), for P penalties.

    While all clips have the same logits, the Hessian of the loss is the product of A (C, C), how
    it bends with the biases, and the covariance of the columns. In the eigenvectors of A it falls
    apart into ``a · (covariance + penalty / a)``, one block a class, and in the coordinates of
    these blocks' Cholesky factors it is the identity. A factor serves a decade of ``penalty / a``;
    where that is beyond the covariance, its root alone does. The origin is the best biases with
    weights of zero. Source: Böhning 1992 (Multinomial logistic regression algorithm), with the
    curvature at the start instead of its bound.
    """

    def __init__(
        self,
        loss: Callable[[Tensor], Tensor],
        covariance: Tensor,
        penalties: Sequence[float],
        *,
        shape: tuple[int, int],
    ) -> None:
        """Find the biases and factor.

        Args:
            loss: (N, C) logits -> scalar, convex.
            covariance: of the columns (D, D), or its diagonal alone (D,).
            penalties: P of them.
            shape: N, C.
        """
        self._bias = _best_bias(loss, shape)
        bends, self._turn = torch.linalg.eigh(_hessian(loss, self._bias, shape))
        highest = float(bends.max())
        bends = bends.clamp(min=FLATTEST * highest) if highest > 0 else torch.ones_like(bends)
        self._spread = bends.rsqrt()  # (C,)
        ratios = torch.tensor(penalties)[:, None] / bends  # (P, C)
        highest = _highest(covariance)
        lowest = ratios.new_tensor(max(highest, 1e-12) * LOWEST)
        is_flat = ratios >= highest
        self._scale = torch.where(is_flat, ratios.rsqrt(), 1.0)  # (P, C)
        decades = ratios.maximum(lowest).log10().round().long()
        self._decade = torch.where(is_flat, FLAT, decades)  # (P, C)
        self._factors = {
            decade: _factor(covariance, 10.0**decade)
            for decade in sorted(set(self._decade.flatten().tolist()) - {FLAT})
        }
        self._width = len(covariance)

    def start(self) -> Tensor:
        """(P, C · (D + 1)) of the origin."""
        return torch.zeros(len(self._decade), len(self._bias) * (self._width + 1))

    def __call__(self, flat: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The weights and biases at rows that belong to penalties ``which`` (p,)."""
        both = flat.view(len(flat), len(self._bias), -1) * self._spread[:, None]  # (p, C, D + 1)
        decades = self._decade[which].flatten()  # (p · C,)
        blocks = (both[..., :-1] * self._scale[which][..., None]).flatten(0, 1)  # (p · C, D)
        rows, found = [], []
        for decade in sorted(set(decades.tolist())):
            mine = (decades == decade).nonzero().squeeze(1)
            rows.append(mine)
            found.append(_divided(blocks[mine], self._factors.get(decade)))
        order = torch.cat(rows).argsort()
        weight = torch.cat(found)[order].view(*both.shape[:2], -1)
        return self._turn @ weight, both[..., -1] @ self._turn.T + self._bias


def _best_bias(loss: Callable[[Tensor], Tensor], shape: tuple[int, int]) -> Tensor:
    """(C,) with weights of zero."""

    def objective(rows: Tensor, _: Tensor) -> Tensor:
        return torch.stack([loss(row.expand(*shape)) for row in rows])

    return lbfgs(objective, torch.zeros(1, shape[1]), steps=BIAS_STEPS)[0]


def _hessian(loss: Callable[[Tensor], Tensor], bias: Tensor, shape: tuple[int, int]) -> Tensor:
    """(C, C) of the loss by the biases."""
    with torch.enable_grad():
        leaf = bias.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(leaf.expand(*shape)), leaf, create_graph=True)
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


def _factor(covariance: Tensor, ridge: float) -> Tensor:
    """The Cholesky factor (D, D), or a diagonal one (D,), of the covariance with a ridge."""
    if covariance.ndim == 1:
        deviation: Tensor = (covariance + ridge).sqrt()
        return deviation
    while True:
        ridged = covariance.clone()
        ridged.diagonal().add_(ridge)
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(ridged)
        if not failed:
            return factor
        ridge *= 10


def _divided(rows: Tensor, factor: Tensor | None) -> Tensor:
    """(r, D) -> the rows times the inverse of the factor."""
    if factor is None:
        return rows
    if factor.ndim == 1:
        return rows / factor
    found: Tensor = torch.linalg.solve_triangular(factor, rows, upper=False, left=False)
    return found
