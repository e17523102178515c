"""A backbone of two towers with a shared space, so that search needs no real weights."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from emo.extract.backbone import Backbone, Inputs, Prepared, recipe_options
from emo.extract.media import Media, Needs
from emo.store.recipe import Recipe, StreamSpec

NAME = "tests.similarity.twins:Twins"
MOST_WORDS = 6


@dataclass(frozen=True)
class TwinsOptions:
    weights: str = field(default="twins", metadata={"help": "folder", "recipe": False})
    streams: str = field(default="video,text", metadata={"help": "streams"})


class Twins(Backbone):
    """``video``: a token a word; ``text``: their sum. Words are random directions of the weights.

    The tower of the stream ``video`` lies in video.npy, that of ``text`` in text.npy.
    """

    Options = TwinsOptions
    loaded: ClassVar[list[str]] = []
    """Files that were read by load, for tests."""

    def __init__(self, options: TwinsOptions, towers: dict[str, np.ndarray]) -> None:
        self.options, self.towers = options, towers

    @classmethod
    def text_options(cls, options: Any) -> Any:
        return replace(options, streams="text")

    @classmethod
    def needs(cls, options: Any) -> Needs:
        return Needs(text=True)

    @classmethod
    def recipe(cls, options: Any) -> Recipe:
        names = options.streams.split(",")
        data = b"".join(Path(options.weights, f"{name}.npy").read_bytes() for name in names)
        space = hashlib.sha256(Path(options.weights, "text.npy").read_bytes()).hexdigest()[:16]
        facts = {
            "space": dict.fromkeys(names, f"twins {space}"),
            "logit_scale": dict.fromkeys(names, 3.0),
        }
        return Recipe(
            NAME, {name: StreamSpec(16, level="word") for name in names}, recipe_options(options),
            weights=hashlib.sha256(data).hexdigest(), facts=facts,
        )  # fmt: skip

    @classmethod
    def tokens(cls, options: Any, seconds: float) -> dict[str, float]:
        return dict.fromkeys(options.streams.split(","), 3.0)

    @classmethod
    def load(cls, options: Any, *, device: str) -> Self:
        names = options.streams.split(",")
        cls.loaded += names
        return cls(options, {n: np.load(Path(options.weights, f"{n}.npy")) for n in names})

    @classmethod
    def tiny(cls) -> Self:
        return cls(TwinsOptions(), dict.fromkeys(("video", "text"), np.eye(16)))

    def prepare(self, media: Media) -> Prepared:
        words = (media.text or "").replace("-", "").split()
        if not words:
            return Prepared({}, dict.fromkeys(self.towers, "the text has no words"))
        notes = {"words_lacking": len(words) - MOST_WORDS} if len(words) > MOST_WORDS else {}
        return Prepared({"words": words[:MOST_WORDS]}, {}, notes)

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        found = []
        for clip in batch:
            rows = {name: tower[[hash_of(w) for w in clip["words"]]].astype(np.float32)
                    for name, tower in self.towers.items()}  # fmt: skip
            rows |= {"text": rows["text"].sum(0, keepdims=True)} if "text" in rows else {}
            found.append(rows)
        return found


def hash_of(word):
    """A row of the weights for a word."""
    return int(hashlib.sha256(word.encode()).hexdigest(), 16) % 1000


def write_weights(folder, seed=0):
    """Write the two towers, which are equal."""
    folder.mkdir()
    table = np.random.default_rng(seed).standard_normal((1000, 16)).astype(np.float32)
    for name in ("video", "text"):
        np.save(folder / f"{name}.npy", table)
    return folder
