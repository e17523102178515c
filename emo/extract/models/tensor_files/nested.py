"""Find the table of tensors in a checkpoint, whatever it is called and however deep it lies."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from emo.errors import WeightsError

_USUAL = ("model", "state_dict")
"""Keys of a checkpoint under which the weights usually lie, perhaps one inside the other."""
_SHOWN = 8
_OTHER_STATE = re.compile(r"optim|sched|scaler|rng_state|^amp$", re.IGNORECASE)
"""Keys under which training saves other state than weights, such as the optimizer's."""


def table_of(loaded: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name.

    They may be the whole file, or lie under ``model`` or ``state_dict``, or in the only table
    of tensors that the file has under any other name. States of optimizers and schedulers are
    passed over.

    Args:
        loaded: what the file holds.
        path: the file, for errors.

    Raises:
        WeightsError: there is no tensor, or there are several tables.
    """
    for key in _USUAL:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            inner = loaded[key]
            twins = {name: loaded[name] for name in loaded if _is_average_of(key, str(name))}
            tables = {key: inner} | {k: v for k, v in twins.items() if isinstance(v, Mapping)}
            if len(tables) > 1 and all(_tensors(table) for table in tables.values()):
                raise _several(tables, path)
            loaded = inner if _tensors(inner) or any(_tables(inner)) else loaded
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path}: expected a table of tensors, found {type(loaded).__name__}")
    tables = {name: table for name, table in _tables(loaded) if _weights(table)}
    top = len(_weights(loaded))
    if top and top >= max(len(_weights(table)) for table in tables.values()):
        return _tensors(loaded)
    if len(tables) > 1:
        raise _several(tables, path)
    found = _tensors(next(iter(tables.values()), loaded))
    if not found:
        names = ", ".join(str(name) for name in list(loaded)[:_SHOWN]) or "nothing"
        raise WeightsError(f"{path} holds no tensors; it holds: {names}")
    return found


def _is_average_of(key: str, name: str) -> bool:
    """Return whether a name is that of the moving averages of the weights under ``key``."""
    return name in (f"{key}_ema", f"ema_{key}")


def _several(tables: Mapping[str, Mapping[object, object]], path: Path) -> WeightsError:
    """Return the error for a file with several tables of tensors, by name."""
    shown = ", ".join(
        f"{name or 'the file itself'} ({len(_weights(table))} tensors)"
        for name, table in list(tables.items())[:_SHOWN]
    )
    first = next(name for name in tables if name)
    keys = "".join(f"[{key!r}]" for key in first.split("/"))
    return WeightsError(
        f"{path} holds several tables of tensors: {shown}. Save the right one in a file of its "
        f"own: torch.save(torch.load(FILE, weights_only=True){keys}, NEW)"
    )


def _tables(
    node: Mapping[object, object], name: str = ""
) -> Iterator[tuple[str, Mapping[object, object]]]:
    """Yield the tables that hold tensors directly, by their names joined with ``/``."""
    if "param_groups" in node:  # the state of an optimizer
        return
    if _tensors(node):
        yield name, node
    for key, value in node.items():
        if isinstance(value, Mapping) and not _OTHER_STATE.search(str(key)):
            yield from _tables(value, f"{name}/{key}" if name else str(key))


def _tensors(table: Mapping[object, object]) -> dict[str, Tensor]:
    return {str(name): value for name, value in table.items() if isinstance(value, Tensor)}


def _weights(table: Mapping[object, object]) -> list[str]:
    """Return the names of the tensors that may be weights: not counters, not generator states."""
    return [
        name
        for name, value in _tensors(table).items()
        if value.ndim > 0 and (value.is_floating_point() or value.is_complex())
    ]
