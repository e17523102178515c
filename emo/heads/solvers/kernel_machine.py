"""Support vector machines with a Gaussian kernel: solved by scikit-learn, or by Nyström's features.

A solved machine is three tensors; scikit-learn is not needed to predict with it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from emo.heads.solvers.path import solve_path

CACHE_MEGABYTES = 500
"""Memory in which libsvm keeps rows of the kernel."""
SMALLEST = 1e-12
"""Least eigenvalue of the landmarks' kernel, as scikit-learn's Nystroem has it."""


@dataclass(frozen=True, eq=False)
class KernelMachine:
    """Decision values ``kernel(rows, vectors) @ coefficients.T + intercepts``."""

    rows: Tensor
    """int64 (n,): which training rows the vectors are."""
    coefficients: Tensor
    """float32 (outputs, n)."""
    intercepts: Tensor
    """float32 (outputs,)."""


def gaussian_kernel(rows: Tensor, vectors: Tensor, gamma: float) -> Tensor:
    """Return ``exp(-gamma · |row - vector|²)``, float32 (N, n).

    Args:
        rows: float32 (N, D).
        vectors: float32 (n, D).
        gamma: inverse of twice the squared width.
    """
    squares = rows.square().sum(1)[:, None] + vectors.square().sum(1)
    distances = torch.addmm(squares, rows, vectors.T, alpha=-2).clamp_(min=0)
    return distances.mul_(-gamma).exp_()


def solve_classes(
    rows: Tensor, labels: Tensor, classes: int, *, cost: float, gamma: float
) -> KernelMachine:
    """Solve a support vector machine for each pair of classes with scikit-learn's SVC.

    Output k is the decision value of pair k of ``itertools.combinations(range(classes), 2)``;
    above 0 it votes for the first class of the pair. Classes without rows lose against others.

    Args:
        rows: float32 (N, D), scaled.
        labels: int64 (N,), all known, of at least two classes.
        classes: number of classes C.
        cost: C of the machine.
        gamma: see :func:`gaussian_kernel`.
    """
    from sklearn.svm import SVC  # seconds to import

    model = SVC(C=cost, gamma=gamma, decision_function_shape="ovo", cache_size=CACHE_MEGABYTES)
    model.fit(rows.double().numpy(), labels.numpy())
    known = {int(label): index for index, label in enumerate(model.classes_)}
    sign = -1.0 if len(known) == 2 else 1.0  # scikit-learn turns two classes round
    dual = sign * torch.as_tensor(model.dual_coef_)  # (classes - 1, n)
    owner = torch.repeat_interleave(torch.as_tensor(model.n_support_).long())  # class of a vector
    intercepts = iter((sign * model.intercept_).tolist())
    lines, shifts = [], []
    for one, other in itertools.combinations(range(classes), 2):
        line = torch.zeros(dual.shape[1], dtype=torch.float64)
        if one in known and other in known:
            first, second = known[one], known[other]
            line[owner == first] = dual[second - 1, owner == first]
            line[owner == second] = dual[first, owner == second]
            shifts.append(next(intercepts))
        else:
            shifts.append(float(one in known) - float(other in known))
        lines.append(line)
    support = torch.as_tensor(model.support_).long()
    return KernelMachine(support, torch.stack(lines).float(), torch.tensor(shifts))


def solve_numbers(rows: Tensor, numbers: Tensor, *, cost: float, gamma: float) -> KernelMachine:
    """Solve a support vector regression with scikit-learn's SVR.

    Args:
        rows: float32 (N, D), scaled.
        numbers: float32 (N,), standardised.
        cost: C of the machine.
        gamma: see :func:`gaussian_kernel`.
    """
    from sklearn.svm import SVR

    model = SVR(C=cost, gamma=gamma, cache_size=CACHE_MEGABYTES)
    model.fit(rows.double().numpy(), numbers.double().numpy())
    return KernelMachine(
        torch.as_tensor(model.support_).long(),
        torch.as_tensor(model.dual_coef_).float(),
        torch.as_tensor(model.intercept_).float(),
    )


def solve_landmarks(
    rows: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    outputs: int,
    landmarks: int,
    cost: float,
    gamma: float,
) -> KernelMachine:
    """Solve a logistic regression on Nyström's features: kernels with some of the rows.

    Args:
        rows: float32 (N, D), scaled.
        loss: maps the logits of p models, float32 (p, N, C), to their losses (p,).
        outputs: number of logits C.
        landmarks: number of rows with which the kernel is computed.
        cost: 1 / (cost · N) is the penalty.
        gamma: see :func:`gaussian_kernel`.

    Source: Williams and Seeger 2001 (Using the Nyström method to speed up kernel machines).
    """
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    chosen = order[:landmarks].sort().values
    own = gaussian_kernel(rows[chosen], rows[chosen], gamma)
    values, vectors = torch.linalg.eigh(own.double())
    whitened = (vectors * values.clamp(min=SMALLEST).rsqrt() @ vectors.T).float()
    features = gaussian_kernel(rows, rows[chosen], gamma) @ whitened
    (found,) = solve_path(features, loss, outputs=outputs, penalties=[1 / (cost * len(rows))])
    return KernelMachine(chosen, found.weight @ whitened, found.bias)


def vote(decisions: Tensor, classes: int) -> Tensor:
    """Return scores of classes, float32 (N, C), from decisions of pairs of them, (N, pairs).

    A score is the number of pairs that the class wins, plus a third at most by how clearly it wins;
    these are the scores of scikit-learn's SVC with ``decision_function_shape="ovr"``.
    """
    votes = decisions.new_zeros(len(decisions), classes)
    sums = torch.zeros_like(votes)
    for pair, (one, other) in enumerate(itertools.combinations(range(classes), 2)):
        value = decisions[:, pair]
        votes[:, one] += value >= 0
        votes[:, other] += value < 0
        sums[:, one] += value
        sums[:, other] -= value
    return votes + sums / (3 * (sums.abs() + 1))
