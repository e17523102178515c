"""Build the head that a run names, without allocating more than its weights can fill.

The options of the head come from run.json, which may be somebody else's: a hidden width of 10^9
would take the machine's memory before the weights are found not to fit.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from emo.errors import EmoError, FitError
from emo.heads.head import Head
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened

MOST_OPTION = 100_000
"""Largest whole number that an option of a head in run.json may have."""
_SPARE_BYTES = 2**26
"""Bytes that building a head may take besides its weights, 64 MiB."""
_LEAST_BYTES = 2**12
"""Bytes that each tensor counts at least, so that a million small layers are refused as well."""


class _Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of new tensors, before they are allocated."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._budget = budget

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: else torch imports its compiler at the first tensor, which takes 0.9 s."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.partition("::")[2] in _MAKERS:
            self._budget.take(max(4 * _cells(args), _LEAST_BYTES), "the head that it describes")
        return func(*args, **(kwargs or {}))


_MAKERS = frozenset(
    ("empty", "zeros", "ones", "full", "rand", "randn", "randint", "randperm", "arange", "eye",
     "linspace", "empty_strided", "new_empty", "new_zeros", "new_full", "new_ones", "repeat",
     "tril_indices", "triu_indices")
)  # fmt: skip
"""Functions of torch whose result is a new tensor of a size that their arguments tell."""


def _cells(args: Any) -> int:
    """Return a bound for the number of cells that the arguments of a function of torch ask for."""
    most = 1
    for each in args:
        if isinstance(each, list | tuple):
            whole = [size for size in each if isinstance(size, int)]
            most = max(most, math.prod(whole) if whole else 1)
        elif isinstance(each, int | float) and math.isfinite(each):
            most = max(most, int(each))
    return most


def bounded_head(
    kind: type[Head],
    dims: Mapping[str, int],
    widths: Mapping[str, int],
    options: Mapping[str, Any],
    *,
    weights_bytes: int,
    path: Path,
) -> Head:
    """Build a head with options of run.json.

    Args:
        kind: class of the head.
        dims: width D of each stream's tokens.
        widths: number of logits C of each target.
        options: options of the head, by their current names.
        weights_bytes: size of the file of its weights; the head may take about as much.
        path: run.json, for the message.

    Raises:
        FitError: an option is too large, the head would take more memory than its weights, or it
            cannot be built of these options.
    """
    for name, value in options.items():
        if isinstance(value, int) and abs(value) > MOST_OPTION and name in _whole(kind.Options):
            raise FitError(
                f"{path}: head.options.{name}: expected a whole number up to {MOST_OPTION:,}, got "
                f"{shortened(str(value), 40)}. Fit the run again."
            )
    budget = Budget(
        2 * weights_bytes + _SPARE_BYTES, str(path), "weights of that size alone", FitError
    )
    try:
        with _Allocations(budget):
            return kind(dims, widths, options=kind.Options(**options))
    except EmoError:
        raise
    except Exception as error:  # a head of any author, with options of any type
        raise FitError(
            f"{path}: damaged, or made by another version of its head: it cannot be built "
            f"({shortened(repr(error))}). Fit it again with emo fit-head."
        ) from error


def _whole(options: type) -> set[str]:
    """Return the names of the options whose values are whole numbers."""
    return {field.name for field in dataclasses.fields(options) if "int" in str(field.type)}
