"""Tiny backbones and inputs of two made-up clips."""

import pytest

from emo import plugins
from emo.extract.backbone import Backbone
from emo.extract.models.model import Model
from emo.extract.models.sample import sample_media

pytest.importorskip("peft")
NAMES = [
    "hf", "languagebind", "openclip", "perceiver", "resnet3d", "timm", "vggface", "videollama",
]  # fmt: skip


def tiny(name: str) -> Model:
    """A backbone of small random weights."""
    return plugins.load(plugins.BACKBONES, name, Backbone).tiny()


def inputs(model: Model, count: int = 1):
    """Inputs of clips of 2, 3 … seconds that have every stream."""
    needs = type(model).needs(model.options)
    return [model.prepare(sample_media(needs, 2.0 + k)).inputs for k in range(count)]
