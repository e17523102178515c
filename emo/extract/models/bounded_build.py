"""Build a model without allocating much more than its weights can fill.

The sizes of a model come from configuration files beside its weights, which may be somebody else's:
a file of 100 bytes with a width of 16,384 would take the machine's memory before it is found that
the tensors are not there.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from emo.errors import WeightsError
from emo.extract.models.weights import Found
from emo.machine.untrusted.budget import Budget

_TIMES = 8
"""Bytes of new tensors for each byte of weights: half precision, temporary tensors, and copies."""
_SPARE_BYTES = 2**30
"""Bytes that building may take besides, 1 GiB: tables of positions, and masks."""
_META_BYTES = 2**40
"""Bytes of a model that is built on the device meta, from its configuration alone."""
_LEAST_BYTES = 2**17
"""Bytes that each tensor counts at least, so that a million small layers are refused as well."""
_SHAPED = {"empty": 0, "zeros": 0, "ones": 0, "full": 0, "rand": 0, "randn": 0, "empty_strided": 0,
           "new_empty": 1, "new_zeros": 1, "new_ones": 1, "new_full": 1}  # fmt: skip
"""Function of torch that makes a tensor -> which of its arguments is the shape."""


@contextmanager
def bounded_build(found: Found) -> Iterator[None]:
    """Count the tensors that are made inside the block, before they are allocated.

    Args:
        found: the weight files; the model may take some times as much.

    Raises:
        WeightsError: the configuration describes a model that is much larger than its weights.
    """
    files = found.every_path
    size = sum(path.stat().st_size for path in files)
    budget = Budget(
        _TIMES * size + _SPARE_BYTES if found.has_tensors else _META_BYTES,
        str(found.folder),
        "weights of that size alone",
        WeightsError,
    )
    with _Allocations(budget):
        yield


class _Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of new tensors, those on the device ``meta`` as well."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._budget = budget

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: else torch imports its compiler at the first tensor, which takes 0.9 s."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cells = _cells(func._schema.name.partition("::")[2], args)
        if cells is not None:
            self._budget.take(max(4 * cells, _LEAST_BYTES), "the model that its files describe")
        return func(*args, **(kwargs or {}))


def _cells(name: str, args: Any) -> int | None:
    """Return how many cells a function of torch would allocate; None: it is not counted."""
    position = _SHAPED.get(name)
    if position is not None and len(args) > position and isinstance(args[position], list | tuple):
        return int(math.prod(args[position]))
    if name == "arange":
        start, end, step = (args[0] if len(args) > 1 else 0, args[min(1, len(args) - 1)],
                            args[2] if len(args) > 2 else 1)  # fmt: skip
        return int(abs((end - start) / step)) if step else None
    if name == "eye":
        return int(args[0]) * int(args[min(1, len(args) - 1)])
    if name == "repeat":
        return int(args[0].numel() * math.prod(args[1]))
    return None
