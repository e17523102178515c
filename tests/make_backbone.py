"""A backbone for tests of the pipeline: text becomes letter codes, so that no media is needed."""

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from emo.errors import MediaError
from emo.extract.backbone import Backbone, Inputs, Prepared
from emo.extract.media import Media, Needs
from emo.store.recipe import Recipe, StreamSpec


@dataclass(frozen=True)
class LettersOptions:
    width: int = field(default=3, metadata={"help": "D"})
    scale: float = field(default=1.0, metadata={"help": "Factor on every value."})


class Letters(Backbone):
    """One token a letter: its code. Words that begin with ! misbehave, see below."""

    Options = LettersOptions
    is_device_broken = False
    """Of this process, for the rest of its life."""

    def __init__(self, options: LettersOptions) -> None:
        self.options = options

    @classmethod
    def needs(cls, options: Any) -> Needs:
        return Needs(text=True)

    @classmethod
    def recipe(cls, options: Any) -> Recipe:
        streams = {"letters": StreamSpec(options.width, "float32", "letter")}
        return Recipe("tests.make_backbone:Letters", streams, asdict(options))

    @classmethod
    def tokens(cls, options: Any, seconds: float) -> dict[str, float]:
        return {"letters": 10.0}

    @classmethod
    def load(cls, options: Any, *, device: str) -> Self:
        return cls(options)

    @classmethod
    def tiny(cls) -> Self:
        return cls(LettersOptions())

    def prepare(self, media: Media) -> Prepared:
        if not media.text:
            return Prepared({}, {"letters": "the text is empty"})
        if "!raise" in media.text:
            raise MediaError("this clip asked to fail")
        if "!kill" in media.text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "!segv" in media.text:
            ctypes.string_at(0)
        if "!exit" in media.text:
            os._exit(7)
        if "!sleep" in media.text:
            time.sleep(0.02)
        if "!nap" in media.text:
            time.sleep(2)
        codes = np.frombuffer(media.text.encode(), np.uint8).astype(np.float32)
        return Prepared({"codes": codes}, notes={"letters": float(len(codes))})

    def encode(self, batch: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
        Letters.is_device_broken |= any(
            b"!device" in bytes(clip["codes"].astype(np.uint8)) for clip in batch
        )
        if Letters.is_device_broken:
            raise RuntimeError("CUDA error: unspecified launch failure\nSearch for it")
        if any(b"!encode" in bytes(clip["codes"].astype(np.uint8)) for clip in batch):
            raise RuntimeError("the model stumbled")
        return [{"letters": self._one(clip["codes"])} for clip in batch]

    def _one(self, codes: np.ndarray) -> np.ndarray:
        value = np.nan if b"!nan" in bytes(codes.astype(np.uint8)) else self.options.scale
        return np.repeat(codes[:, None] * np.float32(value), self.options.width, axis=1)
