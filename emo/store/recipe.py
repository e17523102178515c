"""The recipe: everything that determines the values of stored tokens, and its fingerprint."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

import emo
from emo.errors import StoreError
from emo.machine.file_code import warn_if_edited
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.kinds import AnyJson, Fields, ListOf, MapOf, OneOf, Shape, problem

IMPORTED = "import-"
"""Start of the backbone's name in recipes of imported tokens; the file format's name follows."""
RECIPE_FILE = "recipe.json"
"""Name of the file in a recipe's folder that holds the recipe."""
MAX_BYTES = 2**24
"""Largest recipe document that is read."""
_STREAM = Fields(
    {"dim": int, "dtype": str, "level": str, "kind": str, "shape": OneOf([None, ListOf(int)])}
)
_NEEDED: dict[str, Shape] = {
    "backbone": str, "streams": MapOf(_STREAM),
    "options": dict, "weights": OneOf([None, str]), "version": int,
}  # fmt: skip
_OPTIONAL: dict[str, Shape] = {"facts": dict, "code": OneOf([None, str])}
_INSIDE = Fields(_NEEDED, _OPTIONAL)
"""Types of a recipe inside another document, such as run.json."""
RECIPE = Fields({**_NEEDED, "fingerprint": str}, _OPTIONAL)
"""Types of a recipe document; options and facts may be any JSON that is not nested too deeply."""


@dataclass(frozen=True)
class StreamSpec:
    """Width, dtype and meaning of the tokens of one stream, a named output of a backbone."""

    dim: int
    """Length of one token, D."""
    dtype: str = "float16"
    """Dtype in the store: ``float16`` unless said, which holds values up to 65,504; ``float32``,
    ``uint8`` …"""
    level: str = "frame"
    """What one token describes: ``frame``, ``window``, ``word``, ``clip`` …"""
    kind: Literal["dense", "sparse", "image"] = "dense"
    """Kind of values, which decides how a head scales them: ``dense`` each dimension by itself,
    ``sparse`` (hashed counts) all by one number, ``image`` (uint8 pixels) by 1/255."""
    shape: tuple[int, ...] | None = None
    """Shape of one token before it was flattened to (D,), such as (160, 160, 3); None: (D,)."""

    def __post_init__(self) -> None:
        if not 1 <= self.dim < 2**31:
            raise ValueError(f"expected a dim from 1 to 2,147,483,647, got {self.dim!r:.40}")
        if self.shape is not None and math.prod(self.shape) != self.dim:
            raise ValueError(f"expected dim >= 1 equal to the product of shape, got {self}")
        if np.dtype(self.dtype).itemsize * self.dim >= 2**31:
            raise ValueError("expected a token of less than 2 GiB")


@dataclass(frozen=True)
class Recipe:
    """Backbone, weights, options and streams: all that changes stored values, and nothing else."""

    backbone: str
    """Name of the backbone plugin, or ``module:Class``."""
    streams: dict[str, StreamSpec]
    """Name of each stream -> its width, dtype and meaning."""
    options: dict[str, Any] = field(default_factory=dict)
    """All options of the backbone with their values (JSON), defaults included."""
    weights: str | None = None
    """SHA-256 of the weights (their path does not matter); None: a backbone without weights."""
    version: int = 1
    """Version of the backbone's code, which its author raises when a change changes the values."""
    code: str | None = None
    """Hash of the source of a backbone that has no file, such as a class in a cell of a notebook;
    None: the backbone is a file, whose author raises ``version``."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Facts for readers of the tokens (JSON values), such as the temperature that the weights were
    trained with. They follow from the recipe's other fields and are not part of the fingerprint."""

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of the recipe's canonical JSON, without facts."""
        document = {name: value for name, value in self.to_json().items() if name != "facts"}
        return hashlib.sha256(_canonical(document).encode()).hexdigest()[:16]

    @property
    def stored_specs(self) -> dict[str, dict[str, Any]]:
        """Stream -> ``{"dim": D, "dtype": name}``, which every part of the recipe records."""
        return {name: {"dim": s.dim, "dtype": s.dtype} for name, s in self.streams.items()}

    @property
    def is_own_code(self) -> bool:
        """Whether the backbone is a class ``module:Class``, which does not come with emo."""
        return ":" in self.backbone

    @property
    def weights_words(self) -> str:
        """Name, revision and hash of the weights, such as ``my-vit (sha256 12ab…)``, for people."""
        if self.weights is None:
            return "none"
        known = self.facts.get("weights")
        origin = known if isinstance(known, dict) else {}
        revision = f"revision {origin['revision']}, " if origin.get("revision") else ""
        name = shortened(str(origin.get("name", "weights of unknown name")), 100)
        return f"{name} ({shortened(revision, 60)}sha256 {self.weights[:12]}…)"

    def other_streams(self, found: Mapping[str, Any]) -> str:
        """Return what is wrong with a part whose streams are not those of the recipe.

        Args:
            found: stream -> ``{"dim": D, "dtype": name}``, as the part records it.
        """
        expected = self.stored_specs
        for name in [*expected, *(each for each in found if each not in expected)]:
            if found.get(name) != expected.get(name):
                ours, theirs = (_spec_words(each.get(name)) for each in (expected, found))
                return f"stream {name!r}: its recipe says {ours}, the part says {theirs}"
        return "its streams are not those of its recipe"

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as a dict of JSON values; :meth:`from_json` is the inverse."""
        document: dict[str, Any] = json.loads(_canonical(asdict(self)))
        for name in ("facts", "code"):
            if not document[name]:
                del document[name]  # stores of earlier versions have no such key
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Recipe":
        """Build a recipe from the dict that :meth:`to_json` returned.

        Raises:
            StoreError: a field is missing or invalid.
        """
        entries = dict(document)
        if wrong := problem(entries, AnyJson()) or problem(entries, _INSIDE):
            raise StoreError(f"not a recipe: {wrong}")
        try:
            _canonical(dict(document)).encode()
        except UnicodeEncodeError:
            raise StoreError("not a recipe: a text is half of a surrogate pair") from None
        try:
            streams = {
                name: StreamSpec(**{**spec, "shape": spec["shape"] and tuple(spec["shape"])})
                for name, spec in document["streams"].items()
            }
            facts = dict(document.get("facts", {}))
            code = document.get("code")
            return cls(
                **{k: document[k] for k in _FIELDS if k != "streams"},
                streams=streams, facts=facts, code=code,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError, SyntaxError) as error:
            words = shortened(f"{error!r} in {document}", 300)
            raise StoreError(f"not a recipe: {words}") from error

    def other_version(self, other: "Recipe") -> str:
        """Return words on two recipes that differ in the version of the backbone alone.

        Args:
            other: the recipe that the backbone of this emo makes.

        Returns:
            words such as ``of classic version 1, and emo 0.2.0 has version 2, which may make other
            numbers``; empty: the recipes are equal, or more than the version differs. A class of
            one's own has a version whatever the version of emo.
        """
        lines = self.differences(other)
        if len(lines) != 1 or self.version == other.version:
            return ""
        return (
            f"of {self.backbone} version {self.version}, and "
            f"{'its file here' if self.is_own_code else f'emo {emo.__version__}'} has version "
            f"{other.version}, which may make other numbers"
        )

    def warn_if_edited(self, was: object, now: object, name: str) -> None:
        """Warn if the files of the backbone were edited between two makings of tokens.

        Args:
            was: hash of the code that made some tokens; None: not known.
            now: hash of the code that makes, or made, others.
            name: name of the recipe in the store.
        """
        what = f"recipe {name!r}: the code of {self.backbone} was edited since its tokens were made"
        mend = (
            "If the edit changes numbers, tokens of both are mixed: raise version= in its Recipe "
            "and extract with --as NAME"
        )
        warn_if_edited(what, mend, was, now)

    def differences(self, other: "Recipe") -> list[str]:
        """Return a line such as ``options.frames: 8 -> 16`` for each field that differs.

        Facts are left out, as they are from the fingerprint.
        """
        ours, theirs = (
            _flat({**each.to_json(), "facts": None, "weights": each.weights_words})
            for each in (self, other)
        )
        if self.weights == other.weights:
            theirs["weights"] = ours["weights"]
        return [
            shortened(f"{key}: {ours.get(key)} -> {theirs.get(key)}", 300)
            for key in sorted(ours.keys() | theirs.keys())
            if ours.get(key) != theirs.get(key)
        ]


def joined_versions(each: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the versions of several parts as one table; different values are joined by " or ".

    >>> joined_versions([{"emo": "1", "av": "14"}, {"emo": "2", "av": "14"}])
    {'emo': '1 or 2', 'av': '14'}
    """
    found: dict[str, dict[str, None]] = {}
    for versions in each:
        for name, value in versions.items():
            found.setdefault(name, {}).update(dict.fromkeys(value.split(" or ")))
    return {name: " or ".join(values) for name, values in found.items()}


_FIELDS = ("backbone", "streams", "options", "weights", "version")


def _canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _spec_words(spec: Mapping[str, Any] | None) -> str:
    """Return the dtype and width of a stream for an error message."""
    if isinstance(spec, Mapping) and spec.keys() >= {"dim", "dtype"}:
        return shortened(f"{spec['dtype']} of width {spec['dim']}", 60)
    return "no such stream" if spec is None else shortened(str(spec), 60)


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    """Return nested dicts as one dict with dotted keys."""
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        key: leaf
        for name, child in value.items()
        for key, leaf in _flat(child, f"{prefix}.{name}" if prefix else name).items()
    }
