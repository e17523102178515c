"""Find what changed in LanguageBind's towers since they were loaded, by the names in the files."""

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from emo.extract.models.rewrite import Changes, changes_by_name, is_same, stored
from emo.extract.models.tensor_files.checkpoint import prefix_of, read_config, read_tensors
from emo.extract.networks.languagebind.checkpoint import (
    TENSOR_FILES,
    Config,
    is_adapter,
    merge_lora,
    name_without_peft,
)


def changed_repository(
    towers: nn.Module, paths: Sequence[Path], config: Config
) -> dict[Path, Changes]:
    """Return the tensors of one repository that changed.

    A checkpoint with LoRA adapters is written without them once anything changed: they are merged
    into their weights, and all names lose the additions of the peft library.

    Args:
        towers: the towers of the repository, by stream.
        paths: its files of tensors.
        config: its configuration.
    """
    tables = {path: read_tensors(path) for path in paths}
    every = {name: tensor for table in tables.values() for name, tensor in table.items()}
    merged = merge_lora(every, config.get("vision_config", "lora_alpha", default=16))
    own = _own_tensors(towers, merged)
    if all(is_same(tensor, merged[name]) for name, tensor in own.items()):
        return {}
    if not any(map(is_adapter, every)):
        originals = {name_without_peft(name): name for name in every}
        return changes_by_name({originals[name]: value for name, value in own.items()}, tables)
    changes: dict[Path, Changes] = {}
    for path, table in tables.items():
        names = [name_without_peft(name) for name in table if not is_adapter(name)]
        new = {name: stored(own.get(name, merged[name])) for name in names}
        changes[path] = {**dict.fromkeys(table), **new}
    return changes


def forget_adapters(folder: Path) -> None:
    """Set ``lora_r`` to 0 in a written ``config.json`` if the tensors beside it lack adapters."""
    path = folder / "config.json"
    document = read_config(path)
    parts = [document[name] for name in ("vision_config", "text_config") if name in document]
    adapted = [part for part in parts if part.get("lora_r")]
    files = [file for pattern in TENSOR_FILES for file in folder.glob(pattern)]
    if adapted and not any(is_adapter(name) for file in files for name in read_tensors(file)):
        for part in adapted:
            part["lora_r"] = 0
        path.write_text(json.dumps(document, indent=2) + "\n")


def _own_tensors(towers: nn.Module, merged: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the towers' tensors by their names and in their shapes in the checkpoint."""
    own = {
        name: tensor for tower in towers.children() for name, tensor in tower.state_dict().items()
    }
    prefix = prefix_of(merged, list(own), "the base")
    found = {prefix + name: tensor for name, tensor in own.items()}
    return {  # V1.5 has patches of one frame
        name: tensor.unsqueeze(2) if merged[name].ndim == 5 else tensor
        for name, tensor in found.items()
    }
