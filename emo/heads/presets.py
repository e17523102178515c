"""Presets: named experiments of earlier projects, each with its streams, head and options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from emo import plugins
from emo.errors import OptionError


@dataclass(frozen=True)
class Preset:
    """The options of one experiment; options that are typed beside ``--preset`` win over them."""

    source: str
    """Where the experiment comes from, and how it differs from the original."""
    head: str
    """Name of the head, as for ``--head``."""
    streams: tuple[str, ...] = ()
    """Streams as ``recipe/stream``, with the default names of the recipes; empty: all streams of
    the stores."""
    head_options: Mapping[str, str] = field(default_factory=dict)
    """The head's own options, as text."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options: fields of :class:`emo.heads.options.FitOptions` and of its ``loop``."""
    dims: Mapping[str, int] = field(default_factory=dict)
    """Width D of each stream in the original, for the tests."""
    reported: str = "–"
    """F1 that the original reports; it does not say which average of the classes' F1."""


def find_preset(name: str) -> Preset:
    """Return the preset of this name.

    Raises:
        OptionError: there is none; the message offers the nearest names.
    """
    if name not in PRESETS:
        raise OptionError(plugins.unknown("preset", name, PRESETS))
    return PRESETS[name]


_LLAMA = {name: 5120 for name in ("videollama/video", "videollama/audio", "videollama/text")}
_TWO = {name: 5120 for name in ("videollama/video", "videollama/text")}
_BIND = {name: 768 for name in ("languagebind/video", "languagebind/text")}
_SEMEVAL = "SemEval-2024 Task 3, Video-LLaMA experiments"
_BOUND = "SemEval-2024 Task 3, LanguageBind experiments"
_QIA = "QIA2020, the team's project (three modalities, separate labels)"
_ATTENTION = {"hidden": "512", "attention": "128", "dropout": "0.3"}
_LINEAR = {"solver": "adamw", "std": "no", "fusion": "early", "bias": "no"}
_SIXTEEN = {"batch_size": 4, "accumulate": 16, "epochs": 10}
_QIA_STEPS = {
    "learning_rate": 4e-3, "weight_decay": 5e-5, "label_smoothing": 0.1, "epochs": 100,
    "batch_size": 256, "warmup": 0.03,
}  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "semeval-exp0": Preset(
            f"{_SEMEVAL}, experiment 0: means of three modalities",
            "mean_pool", tuple(_LLAMA), {"hidden": "1024", "dropout": "0.3"}, dims=_LLAMA,
            reported="0.2372",
        ),
        "semeval-exp1": Preset(
            f"{_SEMEVAL}, experiment 1: attention pooling of video and text",
            "attention_pool", tuple(_TWO), _ATTENTION, dims=_TWO, reported="0.4307",
        ),
        "semeval-exp3": Preset(
            f"{_SEMEVAL}, experiment 3: attention pooling of video, audio and text",
            "attention_pool", tuple(_LLAMA), _ATTENTION, dims=_LLAMA, reported="0.4139",
        ),
        "semeval-joint0": Preset(
            f"{_SEMEVAL}, joint experiment 0: emotion, and cause from its logits over the "
            "dialogue; here the streams are pooled by means",
            "joint", tuple(_LLAMA), {"width": "512", "reads": "logits"},
            {"target": ("emotion", "cause"), "batch_size": 8}, _LLAMA,
            "emotion 0.3341, cause 0.3325",
        ),
        "languagebind-exp3": Preset(
            f"{_BOUND}, experiment 3: frozen video and text, one linear layer; for its scaling add "
            "--scaling languagebind/video=unit*logit_scale --scaling languagebind/text=unit",
            "linear", tuple(_BIND), _LINEAR, _SIXTEEN, _BIND,
            "below 0.3646 (experiment 1, fine-tuned)",
        ),
        "languagebind-exp2": Preset(
            f"{_BOUND}, experiment 2: frozen video, text and audio, one linear layer; the source "
            "fine-tuned all weights",
            "linear", (*_BIND, "languagebind/audio"), _LINEAR, _SIXTEEN,
            {**_BIND, "languagebind/audio": 768}, "0.3201; with LoRA 0.3375",
        ),
        "cremad-perceiver": Preset(
            "CREMA-D, the team's experiment on Perceiver's label vectors, with its batch of 2 and "
            "learning rate of 0.01 for 10 epochs",
            "perceiver_probe", ("perceiver/label",), {"hidden": "256", "dropout": "0.3"},
            {"batch_size": 2, "learning_rate": 0.01, "epochs": 10}, {"perceiver/label": 512},
        ),
        "qia-speech": Preset(
            f"{_QIA}: EfficientNet on the log-mel spectrogram with mixup; a smaller network here",
            "spectrogram_cnn", ("logmel/audio",), {},
            {**_QIA_STEPS, "batch_size": 128, "mixup": 1.0, "spec_augment": ("logmel/audio",)},
            {"logmel/audio": 64},
        ),
        "qia-text": Preset(
            f"{_QIA}: attention LSTM on word vectors; here any text stream whose tokens are words",
            "bilstm", (), {}, _QIA_STEPS, {"words/text": 300},
        ),
        "qia-face": Preset(
            f"{_QIA}: attention LSTM on VGGFace vectors of frames",
            "bilstm", ("vggface/face",), {}, _QIA_STEPS, {"vggface/face": 512},
        ),
        "qia-multimodal": Preset(
            f"{_QIA}: modalities aligned in time, attention over them; all streams of the stores; "
            "the source starts from unimodal heads: give runs of this head on one stream to --init",
            "aligned_attention", (), {},
            {**_QIA_STEPS, "batch_size": 128, "weight_decay": 1e-5, "warmup": 0.01},
            {"logmel/audio": 64, "words/text": 300, "vggface/face": 512},
        ),
        "mosi-linear": Preset(
            "CMU-MOSI's features as CSV files: one logistic regression on all modalities",
            "linear", (), {"fusion": "early"}, {},
            {"mosi/text": 100, "mosi/audio": 73, "mosi/video": 100},
        ),
        "mosi-dialogue": Preset(
            "CMU-MOSI's features as CSV files: a BiLSTM over the clips of a video as one dialogue",
            "dialogue_bilstm", (), {}, {},
            {"mosi/text": 100, "mosi/audio": 73, "mosi/video": 100},
        ),
        "crossformer": Preset(
            "the team's CrossFormer project (DeBERTa, audio MAE, VideoMAE): a cross-modal "
            "transformer; here on frozen tokens, at a learning rate for heads instead of 2e-5",
            "cross_modal", (), {},
            {"warmup": 0.1, "decay": "cosine", "epochs": 50, "batch_size": 4, "accumulate": 4,
             "learning_rate": 3e-4},
            {"text/text": 768, "mae/audio": 768, "videomae/video": 768},
        ),
        "mlstm-fcn": Preset(
            "MLSTM-FCN (Karim et al. 2019), which the team's QIA2020 project refers to; for any "
            "token streams",
            "mlstm_fcn", dims={"any/video": 768},
        ),
    }
)  # fmt: skip
