"""A short way to write a backbone: one method that turns a decoded clip into tokens."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np

import emo.extract.backbone
from emo import plugins
from emo.extract.backbone import Inputs, Prepared, recipe_options
from emo.extract.media import Media, Needs
from emo.plugins import NoOptions
from emo.store.recipe import Recipe, StreamSpec


class Backbone(emo.extract.backbone.Backbone):
    """A frozen model of your own, which may stand in a cell of a notebook.

    Example::

        class Loudness(emo.Backbone):
            @dataclass(frozen=True)
            class Options:
                hop_seconds: float = 0.1

            needs = emo.Needs(audio=True)
            streams = {"audio": emo.StreamSpec(1)}

            def encode_clip(self, media):
                hop = round(self.options.hop_seconds * media.sample_rate)
                sound = media.samples.mean(0)
                blocks = [sound[k : k + hop] for k in range(0, len(sound), hop)]
                return {"audio": [[np.sqrt(np.mean(block**2))] for block in blocks]}

        emo.extract_features(m, "features", [Loudness(hop_seconds=0.05)])

    Models on a GPU do better with :class:`emo.extract.backbone.Backbone`, which gets batches.
    """

    Options: ClassVar[type] = NoOptions
    needs: Any = Needs()
    """What the decoder delivers, such as ``emo.Needs(audio=True)``; or a class method of the
    options that returns it."""
    streams: ClassVar[Mapping[str, StreamSpec]] = {}
    """Name of each stream -> width and dtype of its tokens."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        wanted = vars(cls).get("needs")
        if isinstance(wanted, Needs):
            cls.needs = classmethod(lambda kind, options, wanted=wanted: wanted)

    def __init__(self, **options: Any) -> None:
        """Build the backbone; ``options`` are fields of its ``Options``."""
        self.options = self.Options(**options)

    @abstractmethod
    def encode_clip(self, media: Media) -> Mapping[str, Any]:
        """Return the tokens of one decoded clip, ``{stream: (T, D)}``.

        A stream that the clip cannot have is left out. Several threads call this at once.
        """

    @classmethod
    def recipe(cls, options: Any) -> Recipe:
        """Return the streams and options under the name of the class."""
        return Recipe(plugins.lend(cls), dict(cls.streams), recipe_options(options))

    @classmethod
    def tokens(cls, options: Any, seconds: float) -> dict[str, float]:
        """Return ten tokens a second for each stream; a forecast alone."""
        return dict.fromkeys(cls.streams, max(1.0, 10 * seconds))

    @classmethod
    def load(cls, options: Any, *, device: str) -> Self:
        """Build the backbone with these options."""
        return cls(**asdict(options))

    @classmethod
    def tiny(cls) -> Self:
        """Build the backbone with its default options."""
        return cls()

    def prepare(self, media: Media) -> Prepared:
        """Compute the tokens of one clip."""
        found = {
            name: np.asarray(values, np.dtype(self._dtype(name)))
            for name, values in self.encode_clip(media).items()
        }
        for name, values in found.items():
            spec = self.streams.get(name)
            if spec is None or values.ndim != 2 or values.shape[1] != spec.dim:
                expected = f"(T, {spec.dim})" if spec else f"one of {', '.join(self.streams)}"
                raise ValueError(f"stream {name!r}: expected {expected}, got {values.shape}")
        absent = {
            name: media.absent.get(name, "encode_clip returned no tokens")
            for name in self.streams
            if name not in found or not len(found[name])
        }
        return Prepared({k: v for k, v in found.items() if k not in absent}, absent)

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        """Return what :meth:`prepare` computed."""
        return [dict(inputs) for inputs in batch]

    def _dtype(self, stream: str) -> str:
        spec = self.streams.get(stream)
        return spec.dtype if spec and not spec.dtype.startswith("float") else "float32"
