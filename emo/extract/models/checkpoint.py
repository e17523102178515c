"""Reads what model files hold, all tensors or one, and fills a network with them.

Pickles are read with ``weights_only=True``: they can hold tensors, but run no code.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emo.errors import WeightsError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a ``.safetensors`` file or of a pickle without code, on the CPU.

    Raises:
        WeightsError: the file is damaged, or is a pickle that would run code.
    """
    with _readable(path):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return _table_of(torch.load(path, map_location="cpu", weights_only=True), path)


def read_tensor(path: Path, name: str) -> Tensor | None:
    """One tensor, without reading the gigabytes around it where the format allows; None: not there.

    Raises:
        WeightsError: as of :func:`read_tensors`.
    """
    with _readable(path):
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                return file.get_tensor(name) if name in set(file.keys()) else None
        try:
            mapped = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, ValueError):  # written before torch 1.6: cannot be mapped
            return read_tensors(path).get(name)
        return _table_of(mapped, path).get(name)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is not there") from error
    except Exception as error:  # zip, pickle, safetensors and torch raise what they like
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} cannot be read as weights: {reason}") from error


def _table_of(loaded: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, which may lie under ``model`` or ``state_dict``."""
    for key in ("model", "state_dict"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{path}: expected a table of tensors, found {type(loaded).__name__}")
    return {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    where: str,
    may_lack: Callable[[str], bool] = lambda name: False,
) -> None:
    """Load ``tensors`` into ``module`` as float32; keys it does not know are ignored.

    Args:
        module: its parameters and persistent buffers must all be found.
        tensors: under the module's own names.
        where: the file, for errors.
        may_lack: names that keep their initial values when they are absent.

    Raises:
        WeightsError: a tensor is missing or has another shape; names it.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in tensors and not may_lack(name)]
    if missing:
        dots = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise WeightsError(f"{where}: the tensor {missing[0]!r}{dots} is missing; other weights?")
    for name, tensor in wanted.items():
        if name in tensors and tensors[name].shape != tensor.shape:
            raise WeightsError(
                f"{where}: {name!r} has shape {tuple(tensors[name].shape)}, expected "
                f"{tuple(tensor.shape)}"
            )
    known = {
        name: tensors[name].float() if tensor.is_floating_point() else tensors[name]
        for name, tensor in wanted.items()
        if name in tensors
    }
    module.load_state_dict(known, strict=False)


def read_config(path: Path) -> dict[str, Any]:
    """A configuration file.

    Raises:
        WeightsError: it is not JSON.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON: {error}") from error
    return document
