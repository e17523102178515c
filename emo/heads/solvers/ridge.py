"""Ridge regression in closed form at all penalties of a path, on classes as well as on numbers."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.labels import is_classes, known_rows
from emo.heads.solvers.path import Solution


def ridge_path(rows: Tensor, wanted: Tensor, penalties: Sequence[float]) -> Iterator[Solution]:
    """Minimise ``mean |rows @ weight.T + bias - wanted|² + penalty · |weight|²`` at each penalty.

    The solutions are those of scikit-learn's Ridge with alpha = penalty · N. The product of the
    rows is computed once, and for each penalty one Cholesky factor, (D, D) or (N, N), whichever is
    smaller.

    Args:
        rows: float32 (N, D), scaled.
        wanted: float32 (N, C), what the outputs shall be.
        penalties: penalties, from strong to weak.

    Yields:
        The solution at each penalty.
    """
    centre, mean = rows.double().mean(0).float(), wanted.mean(0)
    centred, aims = rows - centre, wanted - mean
    is_wide = rows.shape[1] > len(rows)
    gram = (centred @ centred.T if is_wide else centred.T @ centred) / len(rows)
    right = (aims if is_wide else centred.T @ aims) / len(rows)
    for penalty in penalties:
        shifted = gram.double()
        shifted.diagonal().add_(penalty)
        solved = torch.cholesky_solve(right.double(), torch.linalg.cholesky(shifted)).float()
        weight = (centred.T @ solved if is_wide else solved).T  # (C, D)
        error = (centred @ weight.T - aims).square().mean().item()
        yield Solution(penalty, weight, mean - weight @ centre, error)


def wanted_of(labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return the numbers that ridge regression shall predict for labelled rows, and which rows are
    labelled.

    Args:
        labels: labels of any form, see :mod:`emo.heads.labels`.
        classes: number of outputs C.

    Returns:
        float32 (labelled rows, C) of 0 and 1, or of numbers; and int64 (labelled rows,).
    """
    known = known_rows(labels).nonzero().squeeze(1)
    found = labels[known]
    if is_classes(labels):
        return functional.one_hot(found, classes).float(), known
    return found.float().view(len(found), classes), known
