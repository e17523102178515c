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
from emo.store.exchange.named_arrays import ArrayOptions, find_clips
from emo.store.exchange.per_clip import resident, streams_of_clips
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
        is_named = any(array.dtype.kind in "OSU" and array.ndim for array in found.values())
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


def _by_clip(found: dict[str, Any], path: Path, options: PtOptions) -> Contents:
    """Return the clips of a file that has a tensor for each."""
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
    if not streams:
        raise StoreError(f"{path}: holds no tensor of tokens")
    ids = list(dict.fromkeys(i for each in streams.values() for i in each))
    line = f"ids: names of the tensors, such as {ids[0]}"
    return Contents(
        ids, streams_of_clips(streams, ids, {}), cells={i: cells[i] for i in ids if i in cells},
        lines=(line,),
    )  # fmt: skip
