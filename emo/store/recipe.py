"""What made the numbers of a store: backbone, weights, options and streams, with a fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from emo.errors import StoreError

IMPORTED = "import-"
"""How the backbone of numbers from a file is called, before the file's format."""
RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class StreamSpec:
    """One named output of a backbone: what a token of it is."""

    dim: int
    """D, the length of a token."""
    dtype: str = "float16"
    """As stored: ``float16``, ``float32``, ``uint8`` …"""
    level: str = "frame"
    """What one token stands for: ``frame``, ``window``, ``word``, ``clip`` …"""
    kind: Literal["dense", "sparse", "image"] = "dense"
    """How a head scales it: ``dense`` per dimension, ``sparse`` (hashed counts) by one number,
    ``image`` (uint8 pixels) by 1/255."""
    shape: tuple[int, ...] | None = None
    """The shape of one token before it was flattened to D, such as (160, 160, 3); None: (D,)."""

    def __post_init__(self) -> None:
        if self.dim < 1 or (self.shape is not None and int(np.prod(self.shape)) != self.dim):
            raise ValueError(f"expected dim >= 1 equal to the product of shape, got {self}")
        np.dtype(self.dtype)


@dataclass(frozen=True)
class Recipe:
    """All that changes the values in a store, and nothing else."""

    backbone: str
    """The plugin's name, or ``module:Class``."""
    streams: dict[str, StreamSpec]
    options: dict[str, Any] = field(default_factory=dict)
    """The backbone's options, JSON values; defaults included."""
    weights: str | None = None
    """SHA-256 of the weights, never their path; None: a backbone without weights."""
    version: int = 1
    """Raised by the backbone's author whenever its code changes the numbers."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What a reader of the tokens may want to know, JSON values, such as the temperature that the
    weights were trained with. Not in the fingerprint: it follows from the rest."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over the canonical JSON of the recipe."""
        document = {name: value for name, value in self.to_json().items() if name != "facts"}
        return hashlib.sha256(_canonical(document).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values from which :meth:`from_json` makes an equal recipe."""
        document: dict[str, Any] = json.loads(_canonical(asdict(self)))
        if not self.facts:
            del document["facts"]  # as in stores from before there were any
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Recipe":
        """The recipe that :meth:`to_json` wrote.

        Raises:
            StoreError: the document lacks a field or has a wrong one.
        """
        try:
            streams = {
                name: StreamSpec(**{**spec, "shape": spec["shape"] and tuple(spec["shape"])})
                for name, spec in document["streams"].items()
            }
            facts = dict(document.get("facts", {}))
            return cls(**{**{k: document[k] for k in _FIELDS}, "streams": streams, "facts": facts})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"not a recipe: {error!r} in {str(document)[:200]}") from error

    def differences(self, other: "Recipe") -> list[str]:
        """One line for each field in which ``other`` differs: ``options.frames: 8 -> 16``.

        Facts are left out, as they are from the fingerprint.
        """
        ours, theirs = (_flat({**each.to_json(), "facts": None}) for each in (self, other))
        return [
            f"{key}: {ours.get(key)} -> {theirs.get(key)}"
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]


_FIELDS = ("backbone", "streams", "options", "weights", "version")


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        key: leaf
        for name, child in value.items()
        for key, leaf in _flat(child, f"{prefix}.{name}" if prefix else name).items()
    }
