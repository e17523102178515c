"""Find what changed in a transformers model, by the names in the files that it was loaded from."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from emo.errors import WeightsError
from emo.extract.models.model import BasePart
from emo.extract.models.rewrite import Changes, changes_by_name, is_same
from emo.extract.models.tensor_files.checkpoint import read_config, read_tensors
from emo.extract.networks.hf.models import empty_model, encoder_of, read_network

_OLD_NAMES = {
    ".weight": (".gamma",), ".bias": (".beta",),
    ".parametrizations.weight.original0": (".weight_g",),
    ".parametrizations.weight.original1": (".weight_v",),
}  # fmt: skip
"""End of a tensor's name -> ends that it has in files of earlier versions."""


def network_changes(
    network: nn.Module, base: Path, files: Sequence[Path], scratch: Path
) -> dict[Path, Changes]:
    """Return the tensors that changed, for each file by the names in it.

    transformers loads a part of a file alone, such as ``bert.*`` of a model with a head, and under
    other names. It also writes the names that it knows; these are looked up in the files.

    Args:
        network: the model, or its encoder.
        base: folder that it was loaded from.
        files: its files of tensors.
        scratch: an existing folder for temporary files as large as the model.

    Raises:
        WeightsError: a changed tensor has no name in the files.
    """
    whole, info = read_network(base, read_config(base / "config.json"))
    part, own = encoder_of(whole), network.state_dict()
    before, missing = part.state_dict(), set(info["missing_keys"])
    prefix = name_within(whole, part)
    lacking = {name for name in own if f"{prefix}.{name}".lstrip(".") in missing}
    if all(is_same(own[name], before[name]) for name in own.keys() - lacking):
        return {}
    part.load_state_dict(own)
    kept = {name: tensor for name, tensor in whole.state_dict().items() if name not in missing}
    tables = {path: read_tensors(path) for path in files}
    every = {name: tensor for table in tables.values() for name, tensor in table.items()}
    new = _as_written(whole, kept, scratch)
    named = {_name_in(every, name, whole, tensor): tensor for name, tensor in new.items()}
    return changes_by_name(named, tables)


def base_part_of(folder: Path, config: Mapping[str, Any]) -> BasePart:
    """Return the class that ``AutoModel`` builds from a folder, and the name of the used part.

    Args:
        folder: folder with the configuration.
        config: content of ``config.json``.
    """
    whole = empty_model(folder, config)
    kind = type(whole)
    return BasePart(name_within(whole, encoder_of(whole)), kind.__module__, kind.__name__)


def name_within(whole: nn.Module, part: nn.Module) -> str:
    """Return the name of a part of a network; empty: it is the network itself."""
    return next((name for name, each in whole.named_modules() if each is part), "")


def _as_written(whole: Any, tensors: Mapping[str, Tensor], scratch: Path) -> dict[str, Tensor]:
    """Return tensors by the names under which transformers writes them."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        whole.save_pretrained(folder, state_dict=dict(tensors))
        return {
            name: tensor.clone()
            for path in sorted(Path(folder).glob("*.safetensors"))
            for name, tensor in read_tensors(path).items()
        }


def _name_in(every: Mapping[str, Tensor], name: str, whole: Any, tensor: Tensor) -> str:
    """Return the name of a tensor in the base's files.

    Raises:
        WeightsError: it has none there.
    """
    begin = getattr(whole, "base_model_prefix", "")
    for first in (name, f"{begin}.{name}", name.removeprefix(f"{begin}.")):
        ends = [(end, old) for end, olds in _OLD_NAMES.items() for old in olds]
        for found in (first, *(first.removesuffix(end) + old for end, old in ends
                               if first.endswith(end))):  # fmt: skip
            if found in every and every[found].shape == tensor.shape:
                return found
    raise WeightsError(
        f"the tensor {name!r} is not in the base's files under a name that is known, so that the "
        "trained weights cannot be written in their layout; save the base with the installed "
        "version of transformers first (model.save_pretrained)"
    )
