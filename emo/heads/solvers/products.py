"""Products of a linear model's inputs with weights and gradients, for dense or sparse inputs."""

import torch
from torch import Tensor
from torch.nn import functional

SPARSE_BELOW = 0.05
"""Share of non-zeros under which products skip the zeros (hashed text has 0.5 %)."""

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""Product of a matrix and a transposed one by oneDNN, as torch's compiler calls it; None: torch
was built without it. For a few rows it takes a third of the time of torch's own product."""

_Bags = tuple[Tensor, Tensor, Tensor]
"""Arguments of ``embedding_bag``: the rows that each bag adds, the offsets of bags, the factors."""


def times_transposed(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right.T`` of float32 (n, K) and (m, K), by oneDNN where torch has it."""
    both = (left, right)
    is_plain = all(
        each.dtype == torch.float32 and each.is_cpu and each.numel() and not each.requires_grad
        and (each.is_contiguous() or each.T.is_contiguous())  # other strides take minutes
        for each in both
    )  # fmt: skip
    if _ONEDNN is None or not is_plain:
        return left @ right.T
    found: Tensor = _ONEDNN(left, right, None, "none", [], "")
    return found


class DenseProducts:
    """Products of dense inputs (N, D) with weights and with gradients."""

    def __init__(self, rows: Tensor) -> None:
        """Keep the inputs, float32 (N, D)."""
        self.shape = rows.shape
        self._rows = rows

    def across(self, weight: Tensor) -> Tensor:
        """Multiply weights with the transposed inputs: (C, D) -> (C, N)."""
        return times_transposed(weight, self._rows)

    def down(self, slopes: Tensor) -> Tensor:
        """Multiply gradients by logits with the inputs: (C, N) -> (C, D)."""
        return times_transposed(slopes, self._rows.T)


class SparseProducts:
    """Products of sparse inputs (N, D) with weights and with gradients, from the non-zeros alone.

    torch's own sparse products are 20 times slower.
    """

    def __init__(self, rows: Tensor) -> None:
        """Keep the inputs, float32 (N, D)."""
        self.shape = rows.shape
        clips, columns = rows.nonzero(as_tuple=True)
        values = rows[clips, columns]
        by_column = columns.argsort(stable=True)
        self._across = columns, _offsets(clips, rows.shape[0]), values
        offsets = _offsets(columns, rows.shape[1])
        self._down = clips[by_column], offsets, values[by_column]

    def across(self, weight: Tensor) -> Tensor:
        """Multiply weights with the transposed inputs: (C, D) -> (C, N)."""
        return _sum_bags(weight, self._across)

    def down(self, slopes: Tensor) -> Tensor:
        """Multiply gradients by logits with the inputs: (C, N) -> (C, D)."""
        return _sum_bags(slopes, self._down)


Products = DenseProducts | SparseProducts
"""Products of dense or of sparse inputs with weights and gradients."""


def is_sparse(rows: Tensor) -> bool:
    """Return whether so few inputs (N, D) are non-zero that products should skip the zeros."""
    return int(rows.count_nonzero()) < SPARSE_BELOW * rows.numel()


def products_of(rows: Tensor) -> Products:
    """Return sparse products if few inputs (N, D) are non-zero, else dense ones."""
    return SparseProducts(rows) if is_sparse(rows) else DenseProducts(rows)


def _sum_bags(table: Tensor, bags: _Bags) -> Tensor:
    """Sum columns of a table into bags: (C, columns) -> (C, bags)."""
    columns, offsets, values = bags
    sums = functional.embedding_bag(
        columns, table.T.contiguous(), offsets, mode="sum", per_sample_weights=values,
        include_last_offset=True,
    )  # fmt: skip
    return sums.T.contiguous()


def _offsets(groups: Tensor, count: int) -> Tensor:
    """Return the offsets, int64 (count + 1,), of groups that are sorted by their number."""
    offsets = torch.zeros(count + 1, dtype=torch.int64)
    torch.cumsum(groups.bincount(minlength=count), 0, out=offsets[1:])
    return offsets
