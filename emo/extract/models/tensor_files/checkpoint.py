"""Read checkpoints, all tensors or one, and load them into a network.

Pickles are read with ``weights_only=True``, so that they cannot run code.
"""

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emo.errors import WeightsError
from emo.extract.models.tensor_files.formats import ADVICE, foreign_format
from emo.extract.models.tensor_files.nested import table_of
from emo.machine.untrusted.documents import MOST_DOCUMENT_BYTES, checked, parse_checked
from emo.machine.untrusted.files import UnfitFileError, open_regular, read_regular
from emo.machine.untrusted.kinds import AnyJson

_WRAPPERS = frozenset({"module", "model", "_orig_mod", "net", "network", "backbone"})
"""Parts of prefixes that training loops put before a network's names."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a ``.safetensors`` file or of a pickle, onto the CPU.

    Raises:
        WeightsError: the file is damaged, or is a pickle that would run code.
    """
    with _readable(path):
        os.close(open_regular(path, follow_links=True)[0])
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return table_of(_unpickled(path), path)


def read_tensor(path: Path, name: str) -> Tensor | None:
    """Read one tensor, without reading the rest of the file where the format allows that.

    Returns:
        The tensor on the CPU; None: the file has none of that name.

    Raises:
        WeightsError: the file is damaged, or is a pickle that would run code.
    """
    with _readable(path):
        os.close(open_regular(path, follow_links=True)[0])
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                return file.get_tensor(name) if name in set(file.keys()) else None
        try:
            mapped = _unpickled(path, mmap=True)
        except (RuntimeError, ValueError):  # written before torch 1.6: cannot be mapped
            return read_tensors(path).get(name)
        return table_of(mapped, path).get(name)


def _unpickled(path: Path, *, mmap: bool = False) -> object:
    """Load a pickle of tensors onto the CPU.

    Of a TorchScript file torch warns before its error; :func:`why_unread` says it in one line.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*looks like a TorchScript archive", UserWarning)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except UnfitFileError as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is not there") from error
    except Exception as error:  # zip, pickle, safetensors and torch raise many kinds of errors
        raise WeightsError(
            f"{path} cannot be read as weights: {why_unread(path, error)}"
        ) from error


def why_unread(path: Path, error: Exception) -> str:
    """Return why a file cannot be read as weights, in words that help.

    torch advises ``weights_only=False`` for whatever it cannot read: that would run any code in
    the file, and would not help with another format.

    Args:
        path: the file.
        error: what torch, safetensors or transformers raised.
    """
    name = foreign_format(path)
    if name is not None:
        return f"the file is {name}, not PyTorch's format; {ADVICE}"
    said = str(error)
    if code := re.search(r"(?:GLOBAL|global)[: ]+'?([\w.]+\.\w+)", said):
        return (
            f"it holds objects of {code[1]}, not only tensors, and loading them could run code; "
            "save the tensors alone: torch.save(model.state_dict(), FILE)"
        )
    if "weights_only" in said:
        return f"it is not a file of tensors, or it is damaged; {ADVICE}"
    return said.splitlines()[0] if said else type(error).__name__


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    where: str,
    may_lack: Callable[[str], bool] = lambda name: False,
) -> None:
    """Load tensors into a module as float32; tensors of names that it lacks are ignored.

    Names may have the prefix of a wrapper: ``module.`` of DistributedDataParallel, ``model.`` of
    Lightning, ``_orig_mod.`` of ``torch.compile``.

    Args:
        module: the network; every parameter and persistent buffer needs a tensor.
        tensors: tensors by the module's own names.
        where: name of the file, for error messages.
        may_lack: tells for a name whether its tensor may be missing; it then keeps its value.

    Raises:
        WeightsError: a tensor is missing or has another shape.
    """
    wanted = module.state_dict()
    tensors = _unwrapped(tensors, [name for name in wanted if not may_lack(name)], where)
    missing = [name for name in wanted if name not in tensors and not may_lack(name)]
    if missing:
        dots = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise WeightsError(
            f"{where}: the tensor {missing[0]!r}{dots} is missing; are these weights of another "
            "model?"
        )
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


def _unwrapped(
    tensors: Mapping[str, Tensor], wanted: Sequence[str], where: str
) -> Mapping[str, Tensor]:
    """Return the tensors without a wrapper's prefix, if all wanted names have the same."""
    prefix = prefix_of(tensors, wanted, where)
    if not prefix:
        return tensors
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def prefix_of(tensors: Mapping[str, Tensor], wanted: Sequence[str], where: str) -> str:
    """Return the prefix of a wrapper that all wanted names have in a checkpoint; empty: none.

    Args:
        tensors: tensors of the checkpoint.
        wanted: names of the network's tensors.
        where: name of the file, for error messages.

    Raises:
        WeightsError: the wanted names occur under several prefixes, or under an unknown one.
    """
    lacking = next((name for name in wanted if name not in tensors), None)
    if lacking is None:
        return ""
    prefixes = {
        name.removesuffix(lacking)
        for name in tensors
        if name.endswith(f".{lacking}")
        and all(name.removesuffix(lacking) + each in tensors for each in wanted)
    }
    if len(prefixes) > 1:
        raise WeightsError(
            f"{where}: the network's tensors are there under several prefixes: "
            f"{', '.join(sorted(prefixes))}; save those of one in a file of their own"
        )
    prefix = next(iter(prefixes), "")
    if prefix and not set(prefix.split(".")[:-1]) <= _WRAPPERS:
        raise WeightsError(
            f"{where}: the names of the network's tensors begin with {prefix!r}; if these are the "
            "right weights, save them without it"
        )
    return prefix


def read_config(path: Path) -> dict[str, Any]:
    """Read a JSON configuration file.

    Raises:
        WeightsError: the file cannot be read, or is not a JSON object.
    """
    try:
        data = read_regular(path, most_bytes=MOST_DOCUMENT_BYTES, follow_links=True)
        document: dict[str, Any] = parse_checked(data, dict)
        checked(document, AnyJson())
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WeightsError(f"{path} is not a JSON object of settings: {error}") from error
    return document
