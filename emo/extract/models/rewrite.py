"""Write changed weights in the layout of the files that they were loaded from.

The written folder has the base's file names, so that the same options load it. A file in which no
tensor changed is copied as it is.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from emo.errors import WeightsError
from emo.extract.models.tensor_files.checkpoint import prefix_of, read_tensors
from emo.extract.models.tensor_files.nested import table_of
from emo.extract.models.weights import Found, WeightFile, Weights, candidates_of

Changes = Mapping[str, Tensor | None]
"""Name of a tensor in a file -> its new value; None: the tensor is left out."""
_ADAPTER = re.compile(r"\.(lora_\w+|base_layer|modules_to_save)\.")
_DOCUMENTS = (".json", ".txt", ".model", ".spm", ".codes", ".jinja")
"""Suffixes of files that lie beside tensors: configurations, vocabularies, indices of shards."""


def check_merged(names: Iterable[str]) -> None:
    """Check that no adapter of the peft library is among a network's tensors.

    Raises:
        WeightsError: there is one; its base's files have no room for it.
    """
    if odd := next((name for name in names if _ADAPTER.search(name)), None):
        raise WeightsError(
            f"the network has the adapter {odd!r}, which is not merged: call merge_and_unload() "
            "before its weights are written"
        )


def changes_of(own: Mapping[str, Tensor], paths: Iterable[Path]) -> dict[Path, Changes]:
    """Compare a network with the files that it was loaded from.

    Args:
        own: the network's tensors by its own names, which are those in the files, perhaps with the
            prefix of a wrapper.
        paths: the files.

    Returns:
        For each file the tensors that changed.

    Raises:
        WeightsError: no file has a tensor of the network.
    """
    tables = {path: read_tensors(path) for path in paths}
    every = {name: tensor for table in tables.values() for name, tensor in table.items()}
    wanted = [name for name in own if not _is_count(name)]
    prefix = prefix_of(every, wanted, "the base")
    if odd := next((name for name in wanted if prefix + name not in every), None):
        raise WeightsError(f"{', '.join(map(str, tables))}: the tensor {odd!r} is not there")
    return changes_by_name({prefix + name: tensor for name, tensor in own.items()}, tables)


def changes_by_name(
    own: Mapping[str, Tensor], tables: Mapping[Path, Mapping[str, Tensor]]
) -> dict[Path, Changes]:
    """Return for each file the tensors that changed.

    Args:
        own: new tensors by their names in the files.
        tables: the tensors of each file; where several have a name, the last one counts.
    """
    last = {name: path for path, table in tables.items() for name in table}
    changes: dict[Path, dict[str, Tensor | None]] = {path: {} for path in tables}
    for name, tensor in own.items():
        path = last.get(name)
        if path is not None and not is_same(tensor, tables[path][name]):
            changes[path][name] = stored(tensor)
    return dict(changes)


def is_same(own: Tensor, base: Tensor) -> bool:
    """Return whether a network's tensor has the values of the base's, which may be in half."""
    return own.shape == base.shape and torch.equal(own.detach().cpu(), base.to(own.dtype))


def stored(tensor: Tensor) -> Tensor:
    """Return a tensor as it is written: on the CPU, with memory of its own."""
    return tensor.detach().cpu().contiguous().clone()


def write_layout(
    weights: Weights, found: Found, folder: Path, changes: Mapping[Path, Changes]
) -> dict[str, Path]:
    """Copy a base's files, and the documents beside them, with changed tensors.

    Args:
        weights: which files the base has.
        found: where they lie.
        folder: folder to write to; each option gets a folder in it.
        changes: tensors to replace in each file; other files are copied.

    Returns:
        Option -> the written folder, which is its new value.

    Raises:
        WeightsError: the folder of an option is there already.
    """
    written: dict[str, Path] = {}
    for file in weights.files:
        target = folder / file.option
        if file.option not in written:
            if target.exists():
                raise WeightsError(f"{target} is there already; name a new folder")
            target.mkdir(parents=True)
            written[file.option] = target
        for path, name in _named(weights, file, found).items():
            _write_file(path, target / name, changes.get(path, {}))
    return written


def _named(weights: Weights, file: WeightFile, found: Found) -> dict[Path, Path]:
    """Return the files of one entry, and the documents beside them, with their relative paths."""
    named: dict[Path, Path] = {}
    folders = [each for each in candidates_of(weights.source_of(file)) if each.is_dir()]
    for path in found.paths[file.label]:
        home = next((each for each in folders if path.is_relative_to(each)), None)
        if home is None:  # a single file, perhaps under a name of its own
            named[path] = Path(_file_name(path, file))
            continue
        named[path] = path.relative_to(home)
        for beside in sorted(path.parent.iterdir()):
            if beside.suffix in _DOCUMENTS and beside.is_file():
                named[beside] = beside.relative_to(home)
    return named


def _file_name(path: Path, file: WeightFile) -> str:
    """Return a name under which a file is found in a folder: its own, or one of its kind."""
    if any(path.match(name) for name in file.names):
        return path.name
    alike = [name for name in file.names if name.endswith(path.suffix)]
    return (alike or list(file.names))[0]


def _write_file(path: Path, target: Path, changes: Changes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    kinds = {path.suffix == ".safetensors", target.suffix == ".safetensors"}
    if not changes and len(kinds) == 1:
        if not target.exists():
            shutil.copyfile(path, target)
    elif target.suffix == ".safetensors":
        save_file(_replaced(read_tensors(path), changes), target, _metadata(path))
    elif path.suffix == ".safetensors":
        torch.save(_replaced(read_tensors(path), changes), target)
    else:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        table = table_of(loaded, path)
        torch.save(_with_table(loaded, table, _replaced(table, changes)), target)


def _metadata(path: Path) -> dict[str, str] | None:
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="pt") as file:
        found: dict[str, str] | None = file.metadata()
    return found


def _replaced(table: Mapping[str, Tensor], changes: Changes) -> dict[str, Tensor]:
    """Return a table of tensors with the changes."""
    every = {**table, **changes}
    return {name: tensor for name, tensor in every.items() if tensor is not None}


def _with_table(node: Any, table: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> Any:
    """Return a loaded checkpoint in which the mapping that holds ``table`` holds ``new``."""
    if not isinstance(node, Mapping):
        return node
    if any(value is table.get(str(name), ...) for name, value in node.items()):
        others = {name: value for name, value in node.items() if not isinstance(value, Tensor)}
        return {**others, **new}
    return {name: _with_table(value, table, new) for name, value in node.items()}


def _is_count(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # files may lack it: it is unused in eval mode
