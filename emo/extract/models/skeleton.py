"""Find a model's configuration files alone, to build its networks without weights.

The networks then are on torch's device ``meta``: they have names and shapes, and take no memory.
"""

from dataclasses import replace
from pathlib import Path

from emo.extract.models.weights import Found, WeightFile, Weights, locate_weights

_TENSORS = (".safetensors", ".bin", ".pt", ".pth")
"""Suffixes of files of tensors."""


def holds_tensors(file: WeightFile) -> bool:
    """Return whether a file of a backbone's weights holds tensors, not settings or words.

    >>> [holds_tensors(WeightFile((name,))) for name in ("config.json", "pytorch_model-*.bin")]
    [False, True]
    """
    return any(name.endswith(_TENSORS) for name in file.names)


def tensor_paths(weights: Weights, found: Found, option: str = "weights") -> list[Path]:
    """Return the files of tensors of one option, in the order in which they are loaded."""
    files = (file for file in weights.files if file.option == option and holds_tensors(file))
    return list(dict.fromkeys(path for file in files for path in found.paths[file.label]))


def locate_configs(weights: Weights) -> Found:
    """Find the files of a backbone's weights that hold no tensors; the others may be missing.

    Raises:
        WeightsError: a configuration or a tokenizer is missing.
    """
    files = tuple(file for file in weights.files if not holds_tensors(file))
    return replace(locate_weights(replace(weights, files=files)), has_tensors=False)
