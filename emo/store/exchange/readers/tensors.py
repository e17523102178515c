"""Read the tensors of a file that torch wrote, without running code that the file names."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.machine.untrusted.documents import shortened


def tensor_file(file: Path, budget: Budget) -> dict[str, Any]:
    """Return the tensors of a .pt file as numpy arrays; the name of a single tensor is ``""``.

    Dicts in dicts become names such as ``representations/33``; lists of tensors ``0``, ``1`` …
    Texts and lists of texts become arrays of text. torch reads with ``weights_only=True``: tensors,
    numbers, text and containers, and nothing else.

    Args:
        file: the file.
        budget: bytes that may be taken.

    Raises:
        StoreError: it holds anything else, or takes too many bytes.
    """
    import torch

    budget.take(_bytes_of(file), str(file))
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch documents none of what it raises for other files
        reason = shortened(str(error).split("\n")[0], 200)
        raise StoreError(
            f"{file}: not a file of tensors that torch reads with weights_only=True: {reason}"
        ) from error
    found: dict[str, Any] = {}
    _collect(loaded, "", found, str(file), budget)
    return found


def _bytes_of(file: Path) -> int:
    """Return the bytes of a file, or of the members of a zip once they are decoded."""
    if not zipfile.is_zipfile(file):
        return file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        return sum(info.file_size for info in archive.infolist())


def _collect(value: Any, name: str, found: dict[str, Any], where: str, budget: Budget) -> None:
    """Add the tensors and texts below ``value`` to ``found``."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_sparse or value.is_quantized or value.is_complex():
            raise StoreError(f"{where}: {name or 'its tensor'} is no dense tensor of real numbers")
        if value.dtype == torch.bfloat16:
            value = value.float()
        budget.take(value.numel() * value.element_size(), f"tensor {name}")
        found[name] = value.detach().numpy()
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _collect(each, f"{name}/{key}".lstrip("/"), found, where, budget)
    elif isinstance(value, list | tuple) and value and all(isinstance(e, str) for e in value):
        found[name] = np.array(value, dtype=object)
    elif isinstance(value, list | tuple):
        for position, each in enumerate(value):
            _collect(each, f"{name}/{position}".lstrip("/"), found, where, budget)
    elif isinstance(value, bool | int | float | str):
        found[name] = np.array(value)
    elif value is not None:
        raise StoreError(f"{where}: {name}: expected tensors, got {type(value).__name__}")
