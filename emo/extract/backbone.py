"""The Backbone contract: a frozen model that turns decoded clips into tokens.

A new backbone is one file in ``emo/extract/backbones/`` with one public subclass. The pipeline
calls, in this order and nothing else::

    options = plugins.parse_options(MyBackbone.Options, {"frames": "8"}, "mine")
    recipe = MyBackbone.recipe(options)          # on a login node: builds no model
    backbone = MyBackbone.load(options, device="cpu")
    prepared = backbone.prepare(media)           # CPU work, many clips in parallel threads
    tokens = backbone.encode([prepared.inputs])  # device work, clips of one part in plan order
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np

from emo.extract.media import Media, Needs
from emo.manifest import Manifest
from emo.store.recipe import Recipe

Inputs = Mapping[str, Any]
"""What ``prepare`` hands to ``encode``: arrays or tensors by name, one clip, no batch axis."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """One clip after ``prepare``."""

    inputs: dict[str, Any]
    """Arrays or tensors by name; empty when every stream is absent."""
    absent: dict[str, str] = field(default_factory=dict)
    """Streams this clip cannot have, each with a reason a person understands. A clip whose
    streams are all absent is a failure with these reasons."""
    notes: dict[str, float] = field(default_factory=dict)
    """Numbers to keep beside the tokens, such as ``face_share``, the share of frames in which a
    face was found."""


@dataclass(frozen=True)
class BackboneCard:
    """What a person wants to know before choosing a backbone."""

    source: str = "ours"
    """Repository or paper."""
    licence: str = "Apache-2.0"
    """Of code and weights; says so when they may not be used commercially."""
    parameters: str = "none"
    """At its usual size, such as ``304 M``."""
    streams: str = ""
    """Shown when the weights, and so the exact widths, are not there."""


def recipe_options(options: Any) -> dict[str, Any]:
    """The options that change the numbers: all fields but those with metadata ``recipe=False``."""
    kept = [f.name for f in fields(options) if f.metadata.get("recipe", True)]
    return {name: value for name, value in asdict(options).items() if name in kept}


class Backbone(ABC):
    """A frozen model. It never opens a media file, sees a clip id, or decides a batch size."""

    Options: ClassVar[type]
    """A frozen dataclass of everything that changes the numbers; each field has a default and
    ``metadata={"help": "…"}``. A field that says where something lies, and changes no number, has
    ``"recipe": False`` there too."""
    card: ClassVar[BackboneCard] = BackboneCard()
    options: Any
    """The instance of ``Options`` that this backbone was built with."""

    @classmethod
    def fill(cls, options: Any, manifest: Manifest) -> Any:
        """The options with what only the manifest can tell, such as the width of its arrays.

        Raises:
            EmoError: the manifest does not tell.
        """
        return options

    @classmethod
    @abstractmethod
    def needs(cls, options: Any) -> Needs:
        """What the decoder must deliver."""

    @classmethod
    @abstractmethod
    def recipe(cls, options: Any) -> Recipe:
        """The streams and the fingerprint, without building the model."""

    @classmethod
    @abstractmethod
    def tokens(cls, options: Any, seconds: float) -> dict[str, float]:
        """Tokens of a clip of that length in each stream, for the size forecast; no model built."""

    @classmethod
    def stretch_seconds(cls, options: Any) -> float | None:
        """How much of a long clip ``prepare`` gets at once; None: always the whole clip.

        A backbone that works in windows says so, and a clip of any length takes the same memory:
        it comes in consecutive stretches of this length, whose tokens are joined in time order.
        """
        return None

    @classmethod
    @abstractmethod
    def load(cls, options: Any, *, device: str) -> Self:
        """Build the model with its real weights."""

    @classmethod
    @abstractmethod
    def tiny(cls) -> Self:
        """The same code path with small random weights, for tests; needs no file."""

    @abstractmethod
    def prepare(self, media: Media) -> Prepared:
        """Decoded clip -> arrays ready for ``encode``; runs in threads, must not keep state."""

    @abstractmethod
    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """For each clip ``{stream: (T, D)}``, T >= 1, in float32 (or the stored integer type).

        A clip's tokens must not depend on its neighbours in the batch.
        """


BACKBONES = "emo.extract.backbones"
