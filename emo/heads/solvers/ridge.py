"""Ridge regression over a path of penalties in closed form, on classes as well as on numbers."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from emo.heads.labels import is_classes, known_rows
from emo.heads.solvers.path import Solution


def ridge_path(rows: Tensor, wanted: Tensor, penalties: Sequence[float]) -> Iterator[Solution]:
    """Minimise ``mean |rows @ weight.T + bias - wanted|² + penalty · |weight|²``.

    The same as scikit-learn's Ridge with alpha = penalty · N. One product of the rows, then one
    Cholesky factor a penalty, of the smaller side of the rows.

    Args:
        rows: (N, D) float32, scaled.
        wanted: (N, C) float32.
        penalties: from strong to weak.
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
    """What is regressed, (known rows, C) of 0 and 1 or of numbers; and which rows these are."""
    known = known_rows(labels).nonzero().squeeze(1)
    found = labels[known]
    if is_classes(labels):
        return functional.one_hot(found, classes).float(), known
    return found.float().view(len(found), classes), known
