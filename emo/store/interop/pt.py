"""pt: one file of torch.save with tensors: by names, or one for each clip; weights_only=True."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from emo.errors import StoreError
from emo.ragged import offsets_of
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.labels import cell_text
from emo.store.exchange.named_arrays import ID_NAMES, ArrayOptions, find_clips
from emo.store.exchange.per_clip import leave_out_labels, resident, streams_of_clips, take_labels
from emo.store.exchange.readers.tensors import tensor_file


@dataclass(frozen=True)
class PtOptions(ArrayOptions):
    """Options for reading tensors."""

    names: Literal["auto", "arrays", "clips"] = field(
        default="auto",
        metadata={
            "help": "arrays: ids, X, X_lengths …; clips: a tensor for each id (or ID/STREAM)."
        },
    )
    stream: str = field(
        default="features", metadata={"help": "Name of the stream of a tensor for each clip."}
    )


class Pt(Format):
    """A dict of tensors: ids, X (N, D) or X (N, L, D) with X_lengths; or ID: tensor (T, D)."""

    extension = ".pt"
    keeps_all = False
    ReadOptions = PtOptions

    @contextmanager
    def read(self, path: Path, options: PtOptions) -> Iterator[Contents]:
        """Read all tensors; a file that holds other objects is refused by torch."""
        budget = self.budget(path)
        found = tensor_file(path, budget)
        found = _by_ids(found, path)
        is_named = any(
            array.ndim
            and (array.dtype.kind in "OSU" or (name.lower() in ID_NAMES and _are_ids(array)))
            for name, array in found.items()
        )
        has_ids = is_named or options.ids is not None or "" in found
        if options.names == "arrays" or (options.names == "auto" and has_ids):
            arrays = {name or options.stream: array for name, array in found.items() if array.ndim}
            yield find_clips(arrays, path, options, budget)
            return
        yield _by_clip(found, path, options)

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write ids, and X/values and X/offsets of each stream; torch.load reads them."""
        import torch

        found: dict[str, Any] = {"ids": list(contents.ids)}
        for name, rows in contents.streams.items():
            values = rows.read(0, len(contents.ids)).values
            found[f"{name}/values"] = torch.from_numpy(np.array(values))
            found[f"{name}/offsets"] = torch.from_numpy(offsets_of(rows.lengths))
        for column in dict.fromkeys(n for row in contents.cells.values() for n in row):
            if column not in found:
                found[column] = [contents.cells.get(i, {}).get(column, "") for i in contents.ids]
        torch.save(found, path)


def _are_ids(array: Any) -> bool:
    """Return whether an array may be ids: whole numbers (N,)."""
    return array.dtype.kind in "iu" and array.ndim == 1


def _by_ids(found: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the arrays of a list of dicts that have an id each, under these ids, as ID/NAME.

    >>> sorted(_by_ids({"0/id": np.array("a"), "0/x": np.ones(2)}, Path("f.pt")))
    ['a/x']

    Raises:
        StoreError: some dicts have an id and others have none, or two have one id.
    """
    numbers = list(dict.fromkeys(name.partition("/")[0] for name in found))
    if numbers != [str(number) for number in range(len(numbers))]:
        return found
    key = next((n for n in ID_NAMES if f"0/{n}" in found and not found[f"0/{n}"].ndim), None)
    if key is None:
        return found
    missing = [number for number in numbers if f"{number}/{key}" not in found]
    if missing:
        raise StoreError(f"{path}: the dict {missing[0]} of the list has no {key}")
    ids = {number: cell_text(found[f"{number}/{key}"].item()) for number in numbers}
    if len({*ids.values()}) < len(ids):
        raise StoreError(f"{path}: two dicts of the list have one {key}")
    parts = ((name.partition("/"), array) for name, array in found.items())
    return {f"{ids[k]}/{member}": array for (k, _, member), array in parts if member != key}


def _by_clip(found: dict[str, Any], path: Path, options: PtOptions) -> Contents:
    """Return the clips of a file that has a tensor for each."""
    first = leave_out_labels(found, str(path))
    streams: dict[str, Any] = {}
    cells: dict[str, dict[str, str]] = {}
    for name, array in found.items():
        clip_id, slash, member = name.rpartition("/")
        clip_id, member = (clip_id, member) if slash else (name, "")
        if array.ndim:
            stream = member or options.stream
            streams.setdefault(stream, {})[clip_id] = resident(array, f"{path}: {name}")
        elif member:
            cells.setdefault(clip_id, {})[member] = cell_text(array.item())
    lines = first + take_labels(streams, cells, options.stream)
    if not streams:
        raise StoreError(f"{path}: holds no tensor of tokens")
    ids = list(dict.fromkeys(i for each in streams.values() for i in each))
    lines.insert(0, f"ids: names of the tensors, such as {ids[0]}")
    return Contents(
        ids, streams_of_clips(streams, ids, {}), cells={i: cells[i] for i in ids if i in cells},
        lines=tuple(lines),
    )  # fmt: skip
