"""Names of spaces in which streams can be compared, and what makes their cosines probabilities."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from emo.extract.models.tensor_files.checkpoint import read_tensor

_DIGITS = 16
"""Hexadecimal digits of a hash in the name of a space."""


def space_of_weights(backbone: str, digest: str, *words: str) -> str:
    """Return the name of the space of weights, such as ``hf 12ab… projected``.

    Args:
        backbone: name of the backbone.
        digest: SHA-256 of the weights.
        words: what else tells the space from others of these weights, such as the level.
    """
    return " ".join([backbone, digest[:_DIGITS], *words])


def space_of_projection(backbone: str, projection: Tensor) -> str:
    """Return the name of the space into which a text tower projects.

    Towers of several repositories that share the text tower have the same.

    Args:
        backbone: name of the backbone.
        projection: float32, the projection of the text tower.
    """
    data = projection.detach().contiguous().numpy().tobytes()
    return space_of_weights(backbone, hashlib.sha256(data).hexdigest())


def calibration_facts(
    paths: Sequence[Path], streams: Sequence[str], *, is_sigmoid: bool = False
) -> dict[str, Any]:
    """Return what the weights say about probabilities: ``logit_scale``, ``logit_bias``.

    Both are kept by stream. ``logit_scale`` is the natural logarithm of the factor; CLAP's is that
    of its audio. A fact that the weights lack is left out.

    Args:
        paths: files of tensors.
        streams: names of the streams.
        is_sigmoid: the weights were trained with a sigmoid of each pair; False: a softmax.
    """
    found: dict[str, Any] = {}
    for fact, names in (
        ("logit_scale", ("logit_scale", "module.logit_scale", "logit_scale_a")),
        ("logit_bias", ("logit_bias", "module.logit_bias")),
    ):
        for name in names:
            tensors = (read_tensor(path, name) for path in paths)
            tensor = next((each for each in tensors if each is not None), None)
            if tensor is not None:
                found[fact] = dict.fromkeys(streams, float(tensor.float()))
                break
    is_sigmoid = is_sigmoid or "logit_bias" in found
    return {**found, "probability": "sigmoid" if is_sigmoid else "softmax"} if found else {}
