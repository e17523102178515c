"""Store what another backbone's networks read, so that training decodes no media again.

`emo adapt` reads these inputs in each epoch; decoding happens once, on any machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np

from emo import plugins
from emo.errors import OptionError, StoreError
from emo.extract.backbone import OURS, Backbone, BackboneCard, Inputs, Prepared, recipe_options
from emo.extract.media import Media, Needs
from emo.extract.models.inputs_bytes import ROW_BYTES, from_rows, to_rows
from emo.extract.models.model import Model
from emo.extract.models.named_models import resolved
from emo.extract.models.sample import sample_media
from emo.extract.models.skeleton import locate_configs
from emo.extract.models.weights import origin_of
from emo.manifest import Manifest
from emo.store.recipe import Recipe, StreamSpec

Floats = Literal["float32", "float16"]
"""Type of stored pictures and spectrograms."""
STREAM = "inputs"
"""Name of the only stream."""
_NOT_READ = frozenset({"dtype", "stored"})
"""Options of every backbone that change the tokens, but not what the networks read."""
_MOST_NUMBER = 1_000_000
"""Largest number that an option may have: sizes would be allocated as they stand there."""
_LENGTHS = (2.0, 10.0)
"""Seconds of two made-up clips whose inputs are measured for the forecast."""


@dataclass(frozen=True, kw_only=True)
class InputsOptions:
    """Options of :class:`StoredInputs`.

    Options of the other backbone are text, ``name=value`` with semicolons between. They may all be
    given as ``options``: those that change no input, such as ``weights``, move to ``local``.
    """

    of: str = field(
        default="languagebind",
        metadata={"help": "backbone with weights, or short name of a model, that reads the inputs"},
    )
    options: str = field(
        default="",
        metadata={
            "help": "options of that backbone, with semicolons between: streams=video,text;frames=8"
        },
    )
    local: str = field(
        default="",
        metadata={
            "help": "its options that change no input, such as weights=DIR",
            "recipe": False,
        },
    )
    floats: Floats = field(
        default="float32",
        metadata={
            "help": "type of stored pictures and spectrograms; float16 takes half, with an error "
            "of a thousandth"
        },
    )

    def __post_init__(self) -> None:
        """Check the options of the other backbone, and sort them.

        Raises:
            ValueError: an option is no text.
            EmoError: there is no such backbone, or it does not take its options.
        """
        if not all(isinstance(text, str) for text in (self.of, self.options, self.local)):
            raise ValueError(f"expected texts for of, options and local, got {self}")
        plugin, given = resolved(self.of)
        object.__setattr__(self, "of", plugin)
        pairs = given | _pairs(self.options) | _pairs(self.local)
        made: Any = plugins.parse_options(self.kind.Options, pairs, f"inputs of {plugin}")
        every = asdict(made)
        for name, value in every.items():
            if type(value) in (int, float) and not abs(value) <= _MOST_NUMBER:
                raise OptionError(f"inputs of {self.of}: {name}: at most {_MOST_NUMBER:,}")
        read = recipe_options(made).keys() - _NOT_READ
        object.__setattr__(self, "options", _words({k: v for k, v in every.items() if k in read}))
        usual = {each.name: each.default for each in fields(made)}
        local = {k: v for k, v in every.items() if k not in read and v != usual[k]}
        object.__setattr__(self, "local", _words(local))

    @classmethod
    def around(cls, of: str, inner: Any, floats: Floats = "float32") -> Self:
        """Return the options for the inputs of a backbone.

        Args:
            of: name of the backbone.
            inner: its options, an instance of its ``Options``.
            floats: type of stored pictures and spectrograms.
        """
        return cls(of=of, options=_words(asdict(inner)), floats=floats)

    @property
    def kind(self) -> type[Model]:
        """Class of the other backbone.

        Raises:
            EmoError: there is none of that name, or it has no weights.
        """
        kind: Any = plugins.load(
            plugins.BACKBONES, self.of, Backbone, document="the option inputs.of"
        )
        if not issubclass(kind, Model):
            raise OptionError(
                f"inputs.of={self.of}: expected a backbone with weights, which can be trained"
            )
        model: type[Model] = kind
        return model

    @property
    def inner(self) -> Any:
        """Options of the other backbone, an instance of its ``Options``."""
        pairs = _pairs(self.options) | _pairs(self.local)
        return plugins.parse_options(self.kind.Options, pairs, f"inputs of {self.of}")


class StoredInputs(Backbone):
    """Inputs of another backbone, as bytes. No file of tensors of that backbone is read.

    Streams: ``inputs`` (rows of 1,024 bytes, 1024), uint8: a clip has as many rows as it takes.
    :class:`InputsReader` reads them.
    """

    Options: ClassVar[type] = InputsOptions
    card: ClassVar[BackboneCard] = OURS
    options: InputsOptions
    _VERSION = 1

    def __init__(self, options: InputsOptions, model: Model) -> None:
        """Keep the other backbone.

        Args:
            options: instance of ``Options``.
            model: the other backbone, of which only ``prepare`` is called.
        """
        self.options, self._model = options, model

    @classmethod
    def fill(cls, options: InputsOptions, manifest: Manifest) -> InputsOptions:
        """Return the options with what the other backbone takes from the manifest."""
        inner = options.kind.fill(options.inner, manifest)
        return InputsOptions.around(options.of, inner, options.floats)

    @classmethod
    def needs(cls, options: InputsOptions) -> Needs:
        """Require what the other backbone requires."""
        needs = options.kind.needs(options.inner)
        return Needs(
            frames=needs.frames, squash=needs.squash, transform=needs.transform, faces=needs.faces,
            keep_frames=needs.keep_frames, audio=needs.audio, text=needs.text,
        )  # fmt: skip

    @classmethod
    def recipe(cls, options: InputsOptions) -> Recipe:
        """Return the stream; configurations count by their hash, tensors do not count.

        Raises:
            WeightsError: a configuration or a tokenizer of the other backbone is missing.
        """
        weights = options.kind.weights(options.inner)
        found = locate_configs(weights)
        return Recipe(
            "inputs",
            {STREAM: StreamSpec(ROW_BYTES, "uint8", level="bytes")},
            recipe_options(options),
            weights=found.digest,
            version=100 * options.kind.version + cls._VERSION,
            facts={"weights": origin_of(weights, found)},
        )

    @classmethod
    def tokens(cls, options: InputsOptions, seconds: float) -> dict[str, float]:
        """Return the rows of a clip, as two made-up clips of other lengths have them."""
        few, many = _measured_rows(options)
        slope = (many - few) / (_LENGTHS[1] - _LENGTHS[0])
        return {STREAM: max(1.0, few + slope * (seconds - _LENGTHS[0]))}

    @classmethod
    def stretch_seconds(cls, options: InputsOptions) -> float | None:
        """Return the length of the other backbone's stretches: each has inputs of its own."""
        return options.kind.stretch_seconds(options.inner)

    @classmethod
    def load(cls, options: InputsOptions, *, device: str) -> Self:
        """Build the other backbone without its tensors; the device does not matter."""
        return cls(options, options.kind.skeleton(options.inner))

    @classmethod
    def tiny(cls) -> Self:
        """Build it for a BERT of two layers."""
        kind: Any = plugins.load(plugins.BACKBONES, "hf", Backbone)
        return cls.load(InputsOptions.around("hf", kind.tiny().options), device="cpu")

    def prepare(self, media: Media) -> Prepared:
        """Prepare a clip for the other backbone, and write that as bytes: ``rows`` (T, 1024)."""
        made = self._model.prepare(media)
        if not made.inputs:
            return Prepared({}, {STREAM: _joined(made.absent)})
        plain = Prepared(self._model.plain_inputs(made.inputs), made.absent, made.notes)
        return Prepared({"rows": to_rows(plain, self.options.floats)}, notes=made.notes)

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return the bytes of each clip."""
        return [{STREAM: inputs["rows"]} for inputs in batch]


class InputsFolder(Protocol):
    """Recipe of a store, such as :class:`emo.store.store.RecipeFolder`."""

    recipe: Recipe
    """What made the tokens."""

    @property
    def sources(self) -> dict[str, str]:
        """Hash of the row and files of each clip."""
        ...

    def read(self, stream: str, ids: Sequence[str] | None = None) -> Any:
        """Return the tokens of some clips, an :class:`emo.ragged.Ragged`."""
        ...


class InputsReader:
    """Reads the stored inputs of clips for a model's ``forward``.

    Example::

        folder = Store("adapted/inputs").recipes["languagebind"]
        reader = InputsReader(folder, model)
        pieces = [piece.inputs for piece in reader.read("clip-1")]
        with model.training():
            tokens = model.forward(pieces)  # one entry for each stretch of the clip
    """

    def __init__(self, folder: InputsFolder, model: Model) -> None:
        """Open the inputs.

        Args:
            folder: a recipe that this backbone made.
            model: the backbone that reads the inputs.

        Raises:
            StoreError: another backbone made the recipe, or they are inputs of another model, or
                of other options or another version of it.
        """
        self._folder, self._model = folder, model
        recipe = folder.recipe
        if recipe.backbone != "inputs":
            raise StoreError(
                f"expected a recipe of the backbone inputs, got one of {recipe.backbone!r}"
            )
        wanted = inputs_options_of(model, floats=recipe.options.get("floats", "float32"))
        if wrong := recipe.differences(StoredInputs.recipe(wanted)):
            raise StoreError(f"these are inputs of other networks: {'; '.join(wrong)}")

    def sources(self, ids: Sequence[str]) -> list[str]:
        """Return the hashes of the rows and files that the inputs of clips were made from."""
        known = self._folder.sources
        return [known[clip_id] for clip_id in ids]

    def read(self, clip_id: str) -> list[Prepared]:
        """Read the inputs of a clip, with its absent streams and notes.

        Returns:
            One entry for each stretch of the clip in time order; nearly always one. Tokens of the
            stretches are joined in this order, as extraction does.

        Raises:
            StoreError: the clip is not there, or its bytes are damaged.
        """
        return [
            Prepared(dict(self._model.inputs_of(each.inputs)), each.absent, each.notes)
            for each in from_rows(self._folder.read(STREAM, [clip_id])[0])
        ]


def inputs_options_of(model: Model, *, floats: Floats = "float32") -> InputsOptions:
    """Return the options with which the inputs of a loaded model are stored.

    Args:
        model: one of emo's own backbones, or one that was named ``module:Class``.
        floats: type of stored pictures.
    """
    return InputsOptions.around(plugins.lend(type(model)), model.options, floats)


@lru_cache(maxsize=8)
def _measured_rows(options: InputsOptions) -> tuple[float, float]:
    """Return the rows that two made-up clips take."""
    backbone = StoredInputs.load(options, device="cpu")
    made = [
        backbone.prepare(sample_media(backbone.needs(options), seconds)) for seconds in _LENGTHS
    ]
    few, many = (float(len(each.inputs.get("rows", ()))) for each in made)
    return few, many


def _pairs(text: str) -> dict[str, str]:
    """Split ``a=1;b=2`` into names and values."""
    words = [word.strip() for word in text.split(";") if word.strip()]
    if odd := next((word for word in words if "=" not in word), None):
        raise OptionError(f"inputs.options: expected name=value;name=value, got {odd!r}")
    return {name.strip(): value for name, _, value in (word.partition("=") for word in words)}


def _words(values: Mapping[str, object]) -> str:
    """Join names and values to ``a=1;b=2``, which :func:`_pairs` reads."""
    if odd := next((name for name, value in values.items() if ";" in str(value)), None):
        raise OptionError(f"inputs: {odd}={values[odd]}: a value may not hold a semicolon")
    return ";".join(f"{name}={plugins.option_word(value)}" for name, value in values.items())


def _joined(absent: Mapping[str, str]) -> str:
    """Join the reasons of absent streams; streams of one reason give it once."""
    return "; ".join(dict.fromkeys(absent.values()))
