"""Tiny backbones and inputs of two made-up clips."""

import gc

import pytest
import torch

from emo import plugins
from emo.adapt.options import AdaptOptions
from emo.extract.backbone import Backbone
from emo.extract.models.model import Model
from emo.extract.models.sample import sample_media
from emo.manifest import read_manifest

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


CLASSES = ("happy", "sad", "angry")
SAYINGS = {
    "happy": "hooray what a lovely joy", "sad": "alas a tear and grief", "angry": "damn you rage",
}  # fmt: skip


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Folder of a tiny LanguageBind, of which tests take the text."""
    folder = tmp_path_factory.mktemp("languagebind")
    kind = plugins.load(plugins.BACKBONES, "languagebind", Backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        options = kind.write_tiny(folder)
    return options.weights


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """A manifest of 42 texts; one of three words of each tells its class."""
    rows = ["id,text,label,split"]
    for number in range(42):
        label = CLASSES[number % 3]
        split = ("train", "train", "train", "val", "test")[number // 3 % 5]
        word = SAYINGS[label].split()[number // 3 % 3]
        rows.append(f"c{number},well {word} it is {number},{label},{split}")
    path = tmp_path_factory.mktemp("clips") / "m.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def options_of(weights, **fields):
    """Options of a short adaptation of the text encoder."""
    usual = {
        "backbones": ("languagebind",),
        "backbone_options": (
            f"languagebind.weights={weights}", "languagebind.streams=text",
            "languagebind.stored=float32",
        ),
        "head": "mean_pool", "per_device_train_batch_size": 8, "num_train_epochs": 2,
        "learning_rate": 3e-3, "target_modules": ("q_proj", "v_proj", "fc1"), "logging_steps": 1,
    }  # fmt: skip
    return AdaptOptions.of(**(usual | fields))


def run_adapt(clips, out, options, **words):
    """Adapt in this process, without bars.

    The trainer collects garbage after each training, which takes 0.1 s over all that was ever
    imported: from the first training on that is left out.
    """
    from emo.adapt.adapt import adapt

    features = words.pop("features", ())
    try:
        return adapt(read_manifest(clips), features, out, options, progress=False, **words)
    finally:
        if not gc.get_freeze_count():
            gc.collect()
            gc.freeze()
