"""Presets of `emo adapt`: experiments of the team that trained backbones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from emo import plugins
from emo.errors import OptionError
from emo.heads.presets import PRESETS


@dataclass(frozen=True)
class AdaptPreset:
    """The options of one experiment; options that are typed beside ``--preset`` win over them."""

    source: str
    """Where the experiment comes from, and how it differs from the original."""
    backbones: tuple[str, ...]
    """Backbones, as words of ``--backbone``."""
    backbone_options: tuple[str, ...] = ()
    """Options of the backbones, as words of ``-o``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of :class:`emo.adapt.options.AdaptOptions`, by the names that ``of`` takes."""
    reported: str = "–"
    """F1 that the original reports; it does not say which average of the classes' F1."""

    @property
    def head(self) -> str:
        """Name of the head."""
        return str(self.options["head"])

    @property
    def fields(self) -> dict[str, Any]:
        """All fields of :class:`emo.adapt.options.AdaptOptions` that the preset sets."""
        return {
            **self.options, "backbones": self.backbones, "backbone_options": self.backbone_options
        }  # fmt: skip


def find_adapt_preset(name: str) -> AdaptPreset:
    """Return the preset of this name.

    Raises:
        OptionError: there is none, or it is one of `emo fit-head`.
    """
    if name in PRESETS:
        raise OptionError(
            f"preset {name} is one of emo fit-head, which trains a head on stored features; those "
            f"of emo adapt are {', '.join(ADAPT_PRESETS)}"
        )
    if name not in ADAPT_PRESETS:
        raise OptionError(plugins.unknown("preset", name, ADAPT_PRESETS))
    return ADAPT_PRESETS[name]


_BOUND = "SemEval-2024 Task 3, LanguageBind experiments"
_TWO = ("languagebind.streams=video,text",)
_THREE = ("languagebind.streams=video,audio,text",)
_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
_SCALED = "unit*logit_scale"
_BIND: Mapping[str, Any] = {
    "head": "linear",
    "head_options": {"solver": "adamw", "std": "no", "fusion": "early", "bias": "no"},
    "scaling": {"languagebind/video": _SCALED, "languagebind/text": "unit"},
    "per_device_train_batch_size": 4, "gradient_accumulation_steps": 16, "num_train_epochs": 10.0,
    "bf16": True,
}  # fmt: skip
_BIND_AUDIO = {
    **_BIND, "scaling": {**_BIND["scaling"], "languagebind/audio": _SCALED}
}  # fmt: skip
_LORA = {
    "method": "lora", "lora_r": 16, "lora_alpha": 16, "lora_dropout": 0.1, "lora_bias": "all",
}  # fmt: skip
_WIDER = {**_LORA, "target_modules": (*_ATTENTION, "fc1", "fc2")}
_QIA: Mapping[str, Any] = {
    "method": "full", "head": "mean_pool", "learning_rate": 4e-3, "weight_decay": 5e-5,
    "label_smoothing": 0.1, "num_train_epochs": 100.0, "warmup_ratio": 0.03,
    "lr_scheduler_type": "constant_with_warmup", "mixup": 1.0, "mixup_probability": 1.0,
    "train_batch_norm": True,
}  # fmt: skip

ADAPT_PRESETS: Mapping[str, AdaptPreset] = MappingProxyType(
    {
        "adapt-languagebind-exp1": AdaptPreset(
            f"{_BOUND}, experiment 1: all weights of video and text, one linear layer; it "
            "overfitted",
            ("languagebind",), _TWO, {**_BIND, "method": "full"}, "0.3646",
        ),
        "adapt-languagebind-exp2": AdaptPreset(
            f"{_BOUND}, experiment 2: as experiment 1 with audio",
            ("languagebind",), _THREE, {**_BIND_AUDIO, "method": "full"}, "0.3201",
        ),
        "adapt-languagebind-exp4": AdaptPreset(
            f"{_BOUND}, experiment 4: LoRA in the attention layers and all biases. The source's "
            "head stayed as it was drawn: --freeze-head does that",
            ("languagebind",), _TWO, {**_BIND, **_LORA, "target_modules": _ATTENTION},
            "below 0.3646 (experiment 1)",
        ),
        "adapt-languagebind-exp5": AdaptPreset(
            f"{_BOUND}, experiment 5: as experiment 4 with LoRA in the feed-forward layers too",
            ("languagebind",), _TWO, {**_BIND, **_WIDER}, "below 0.3646 (experiment 1)",
        ),
        "adapt-languagebind-exp6": AdaptPreset(
            f"{_BOUND}, experiment 6: as experiment 5 with audio, without dropout",
            ("languagebind",), _THREE, {**_BIND_AUDIO, **_WIDER, "lora_dropout": 0.0}, "0.3375",
        ),
        "adapt-videollama-exp4": AdaptPreset(
            "SemEval-2024 Task 3, Video-LLaMA experiments, experiment 4: attention pooling of "
            "video and text, and the word embeddings are trained; it overfitted. The video comes "
            "from a store (--features); rates as in fit-head, since the source names none",
            ("videollama:llama",), ("llama.streams=text",),
            {
                "method": r"text\.words", "streams": ("videollama/video",),
                "head": "attention_pool",
                "head_options": {"hidden": "512", "attention": "128", "dropout": "0.3"},
                "learning_rate": 1e-3, "num_train_epochs": 10.0,
                "per_device_train_batch_size": 32,
            },
            "0.3941",
        ),
        "adapt-perceiver-cremad": AdaptPreset(
            "CREMA-D, the team's experiment on Perceiver: all weights and a new classifier. Its "
            "other label names and paddings change no number: the label is wholly masked",
            ("perceiver",), ("perceiver.streams=label",),
            {
                "method": "full", "head": "perceiver_probe",
                "head_options": {"hidden": "256", "dropout": "0.3"},
                "per_device_train_batch_size": 2, "learning_rate": 0.01, "num_train_epochs": 10.0,
            },
        ),
        "adapt-crossformer": AdaptPreset(
            "the team's CrossFormer project: DeBERTa, audio MAE and VideoMAE under a cross-modal "
            "transformer, trained with Hugging Face's Trainer on 8 GPUs in float16",
            ("hf:text", "hf:mae", "hf:videomae"),
            (
                "text.model=microsoft/deberta-v2-xlarge",
                "mae.model=facebook/vit-mae-base", "mae.input=spectrogram", "mae.level=tokens",
                "videomae.model=MCG-NJU/videomae-base", "videomae.level=tokens",
            ),
            {
                "method": "full", "head": "cross_modal", "learning_rate": 2e-5,
                "num_train_epochs": 50.0, "warmup_ratio": 0.1, "lr_scheduler_type": "cosine",
                "per_device_train_batch_size": 4, "fp16": True,
            },
        ),
        "adapt-qia-speech": AdaptPreset(
            "QIA2020, the team's project: EfficientNet-B4 on log-mel pictures with mixup; its "
            "SpecAugment is left out, which needs a stream of bands",
            ("timm:speech",), ("speech.model=efficientnet_b4", "speech.input=spectrogram"),
            {**_QIA, "per_device_train_batch_size": 128},
        ),
        "adapt-qia-face": AdaptPreset(
            "QIA2020, the team's project: a 3D ResNet on face tracks, the optional part of its "
            "pipeline; go on with --init of a multimodal head",
            ("resnet3d:face",), ("face.model=r3d_18", "face.input=face"),
            {**_QIA, "per_device_train_batch_size": 256},
        ),
    }
)  # fmt: skip
