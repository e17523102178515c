"""The Backbone contract: a frozen model that turns decoded clips into tokens.

A new backbone is one file in ``emo/extract/backbones/`` with one public subclass. The pipeline
calls, in this order::

    options = plugins.parse_options(MyBackbone.Options, {"frames": "8"}, "mine")
    options = MyBackbone.fill(options, manifest)    # by default unchanged
    recipe = MyBackbone.recipe(options)             # may run on a login node: builds no model
    forecast = MyBackbone.tokens(options, seconds)  # expected sizes, for the plan
    backbone = MyBackbone.load(options, device="cpu")
    needs = MyBackbone.needs(options)               # what the decoder delivers as ``media``
    length = MyBackbone.stretch_seconds(options)    # of a clip at once; by default all of it
    prepared = backbone.prepare(media)              # CPU work, many clips in parallel threads
    tokens = backbone.encode([prepared.inputs])     # device work, clips of one part in plan order

A backbone must implement at least ``Options``, ``needs``, ``recipe``, ``tokens``, ``load``,
``tiny``, ``prepare`` and ``encode``. A complete one, whose only token is a clip's root mean square:

    >>> from emo.store.recipe import StreamSpec
    >>> @dataclass(frozen=True)
    ... class LevelOptions:
    ...     gain: float = field(default=1.0, metadata={"help": "factor of the level"})
    >>> class Level(Backbone):
    ...     Options = LevelOptions
    ...     def __init__(self, options): self.options = options
    ...     needs = classmethod(lambda cls, options: Needs(audio=True))
    ...     recipe = classmethod(lambda cls, options: Recipe(
    ...         "level", {"audio": StreamSpec(dim=1)}, recipe_options(options)))
    ...     tokens = classmethod(lambda cls, options, seconds: {"audio": 1.0})
    ...     load = classmethod(lambda cls, options, *, device: cls(options))
    ...     tiny = classmethod(lambda cls: cls(LevelOptions()))
    ...     def prepare(self, media):
    ...         if media.samples is None:
    ...             return Prepared({}, {"audio": media.absent["audio"]})
    ...         return Prepared({"level": np.sqrt(np.square(media.samples).mean())})
    ...     def encode(self, batch):
    ...         return [{"audio": np.full((1, 1), self.options.gain * clip["level"], np.float32)}
    ...                 for clip in batch]

The main calls, made by hand:

    >>> from emo import plugins
    >>> options = plugins.parse_options(LevelOptions, {"gain": "2"}, "level")
    >>> Level.recipe(options).options
    {'gain': 2.0}
    >>> backbone = Level.load(options, device="cpu")
    >>> media = Media(samples=np.full((2, 16000), 0.25, np.float32), sample_rate=16000)
    >>> backbone.encode([backbone.prepare(media).inputs])
    [{'audio': array([[0.5]], dtype=float32)}]
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from emo import plugins
from emo.errors import OptionError, StoreError
from emo.extract.media import Media, Needs
from emo.manifest import Manifest
from emo.store.adapted import NOTHING_SEEN, SeenClips
from emo.store.recipe import Recipe

Inputs = Mapping[str, Any]
"""What ``prepare`` hands to ``encode``: the arrays or tensors of one clip by name, without a batch
axis."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Result of ``Backbone.prepare`` for one clip."""

    inputs: dict[str, Any]
    """Arrays or tensors for ``encode`` by name; empty when every stream is absent."""
    absent: dict[str, str] = field(default_factory=dict)
    """Streams that this clip cannot have -> the reason, as a phrase for people. A clip whose
    streams are all absent is recorded as failed with these reasons."""
    notes: dict[str, float] = field(default_factory=dict)
    """Numbers to store beside the tokens, such as ``face_share``, the share of frames in which a
    face was found."""


@dataclass(frozen=True)
class BackboneCard:
    """Facts about a backbone for the person who chooses one (``emo list backbones NAME``).

    A fact that is left out is shown as "not stated".
    """

    source: str = ""
    """Repository or paper."""
    licence: str = ""
    """Licence of code and weights, and whether commercial use is forbidden."""
    parameters: str = ""
    """Number of parameters at the default size, such as ``304 M``; ``none`` without a network."""
    streams: str = ""
    """Streams and widths to show where the weights, and so the exact widths, are not available."""


def recipe_options(options: Any) -> dict[str, Any]:
    """Return the options that change the numbers.

    These are all fields without metadata ``recipe=False``. A field with metadata ``off`` is left
    out at that value: it was added to a backbone later, and the recipes of older stores, which do
    not name it, keep their fingerprints.
    """
    values = asdict(options)
    return {
        each.name: values[each.name]
        for each in fields(options)
        if each.metadata.get("recipe", True)
        and not ("off" in each.metadata and values[each.name] == each.metadata["off"])
    }


def changes_numbers(options: Any) -> frozenset[str]:
    """Return the names of the options that change the numbers, whatever their values."""
    return frozenset(each.name for each in fields(options) if each.metadata.get("recipe", True))


def recipe_of(kind: "type[Backbone]", options: Any) -> Recipe:
    """Return the recipe of a backbone with the hash of its code, if it is no part of emo.

    Without the hash, a class that was edited in a notebook would pass for the one before: it is
    part of the fingerprint. That of a file is a fact (``code``), whose change is told: its author
    may have edited what changes no numbers.
    """
    recipe = kind.recipe(options)
    if not kind.__module__.startswith("emo."):
        _expect_storable(recipe, kind)
    if (code := plugins.code_hash(kind)) is not None:
        return replace(recipe, code=code)
    if (code := plugins.code_files_hash(kind)) is not None:
        return replace(recipe, facts={**recipe.facts, "code": code})
    return recipe


def _expect_storable(recipe: Recipe, kind: type) -> None:
    """Check that a store takes a recipe of somebody's class.

    Raises:
        OptionError: it holds what is no JSON, or a value of another type than a recipe has.
    """
    try:
        Recipe.from_json(recipe.to_json())
    except (StoreError, TypeError, ValueError, AttributeError) as error:
        where = f"{kind.__qualname__} ({inspect.getsourcefile(kind) or 'a session'})"
        what = str(error).removeprefix("not a recipe: ")
        raise OptionError(f"the recipe of {where} cannot be stored: {what}") from error


OURS = BackboneCard("ours", "Apache-2.0", "none")
"""Card of a backbone of this project that needs no weights."""


class Backbone(ABC):
    """Contract of a frozen model. It opens no media file, sees no clip id, sets no batch size."""

    Options: ClassVar[type]
    """Frozen dataclass of everything that changes the numbers. Each field has a default and
    ``metadata={"help": "…"}``; a field that only says where a file is, and changes no number, adds
    ``"recipe": False`` to its metadata. An option that is added later adds ``"off": value``,
    its default, at which the numbers are as before."""
    card: ClassVar[BackboneCard] = BackboneCard()
    """Source, licence and size, for people."""
    options: Any
    """The instance of ``Options`` that this backbone was built with."""

    @classmethod
    def fill(cls, options: Any, manifest: Manifest) -> Any:
        """Return the options with values that only the manifest holds, such as an array's width.

        By default the options are returned unchanged.

        Raises:
            EmoError: the manifest does not hold the value either.
        """
        return options

    @classmethod
    def text_options(cls, options: Any) -> Any | None:
        """Return the options that compute a text alone, in the space of the other streams.

        With them, the recipe has the stream ``text`` alone, and weights of other modalities are
        neither loaded nor needed. Streams can be compared when the recipe's facts give them the
        same ``space`` (stream -> name). The facts may also hold, by stream, ``logit_scale``, the
        natural logarithm of the factor that the weights were trained with, and ``logit_bias``; and
        ``probability``: ``softmax`` over the texts, or ``sigmoid``. By default there is no text
        tower: None.
        """
        return None

    @classmethod
    @abstractmethod
    def needs(cls, options: Any) -> Needs:
        """Return what the decoder must deliver for each clip."""

    @classmethod
    @abstractmethod
    def recipe(cls, options: Any) -> Recipe:
        """Return the streams and the fingerprint, without building the model.

        The recipe's ``backbone`` is the name by which this class is loaded again: its file name in
        ``emo/extract/backbones/``, or ``module:Class``. `emo extract` refuses any other.
        """

    @classmethod
    def seen_clips(cls, options: Any) -> SeenClips:
        """Return the clips that the weights were adapted on; by default none.

        `emo extract` keeps them in the store, and no fit is scored on them.
        """
        return NOTHING_SEEN

    @classmethod
    @abstractmethod
    def tokens(cls, options: Any, seconds: float) -> dict[str, float]:
        """Return the expected number of tokens T in each stream of a clip that lasts ``seconds``.

        The size forecast of ``emo extract`` uses it; no model is built.
        """

    @classmethod
    def stretch_seconds(cls, options: Any) -> float | None:
        """Return how many seconds of a clip ``prepare`` gets at once; None: the whole clip.

        A backbone that works in windows returns a number. A longer clip is then cut into
        consecutive stretches of this length, and their tokens are joined in time order, so that
        memory does not grow with the clip's length.
        """
        return None

    @classmethod
    @abstractmethod
    def load(cls, options: Any, *, device: str) -> Self:
        """Build the backbone with its real weights on ``device`` (``cpu``, ``cuda:0`` …)."""

    @classmethod
    @abstractmethod
    def tiny(cls) -> Self:
        """Build a small backbone with random weights for tests; it runs the code of ``load``."""

    @abstractmethod
    def prepare(self, media: Media) -> Prepared:
        """Turn one decoded clip into the arrays that ``encode`` takes; CPU work.

        Several threads call it at the same time, so that it must not change ``self``.
        """

    @abstractmethod
    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Compute the tokens of a batch of clips; device work.

        A clip's tokens must not depend on the other clips of the batch.

        Args:
            batch: the ``inputs`` of B prepared clips; streams may be missing in some of them.

        Returns:
            For each of the B clips ``{stream: float32 (T, D)}`` with T >= 1; a stream that the
            recipe stores as integers has that integer type.
        """
