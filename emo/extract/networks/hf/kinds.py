"""Tell from a transformers configuration what the model reads and which output is kept."""

from collections.abc import Mapping
from typing import Any, Literal

from emo.errors import OptionError, WeightsError

Kind = Literal["text", "audio", "image", "face", "video", "spectrogram"]
"""What a model reads; ``face``: images that are face crops, ``spectrogram``: images of sound."""
Level = Literal["tokens", "mean", "first", "pooler", "projected"]
"""Which output is kept; see docs/backbones.md."""
PICTURES: tuple[Kind, ...] = ("image", "face", "spectrogram")
"""What an image model can be given; the first one is the default."""
TWO_TOWERS: dict[str, tuple[Kind, ...]] = {
    "clap": ("audio",), "xclip": ("video",), "videoprism": ("video",),
    **dict.fromkeys(
        ("aimv2", "align", "altclip", "blip", "chinese_clip", "clip", "clipseg", "flava",
         "groupvit", "metaclip_2", "owlv2", "owlvit", "siglip", "siglip2", "tipsv2",
         "vision-text-dual-encoder"),
        PICTURES,
    ),
}  # fmt: skip
"""Model type with one tower for text and one for other media -> what the other tower reads."""
PADDED_TEXT = {
    f"{name}{suffix}"
    for name in ("siglip", "siglip2", "tipsv2", "videoprism")
    for suffix in ("", "_text_model")
}
"""Model types whose texts are padded to the model's length: they were trained so, and SigLIP's
vector of a text is that of the last position."""
PADDED_LENGTH = 64
"""Tokens that such texts are padded to, unless the tokenizer or the model has a lower limit."""
_NO_COMMON_WIDTH = {"siglip", "siglip2", "tipsv2", "videoprism"}  # towers of equal width
_AUDIO_TASKS = ("AUDIO_CLASSIFICATION", "CTC", "SPEECH_SEQ_2_SEQ")
_PICTURE_TASKS = ("IMAGE", "IMAGE_CLASSIFICATION")
_TEXT_TASKS = ("MASKED_LM", "SEQUENCE_CLASSIFICATION", "TEXT_ENCODING")
_DECLARED_FRAMES = ("num_frames", "frames_per_clip")


def kind_of(asked: Kind | Literal["auto"], config: Mapping[str, Any]) -> Kind:
    """Return what the model reads: ``asked``, or for ``auto`` what its type reads.

    Args:
        asked: the option ``input``.
        config: content of ``config.json``.

    Raises:
        OptionError: models of this type cannot read what was asked.
    """
    known = _readable(config.get("model_type"))
    if asked == "auto":
        return known[0] if known else "text"
    if known and asked not in known:
        hint = " (input=image takes single frames of the video)" if "image" in known else ""
        raise OptionError(
            f"hf.input={asked}: a model of type {config.get('model_type')} reads "
            f"{' or '.join(known)}, not {asked}; give one of these, or leave input out{hint}"
        )
    return asked


def _readable(name: object) -> tuple[Kind, ...]:
    """Return what models of a type read, the default first; empty: it is not known."""
    from transformers.models.auto import modeling_auto as auto

    if isinstance(name, str) and name in TWO_TOWERS:
        return (*TWO_TOWERS[name], "text")
    if name in auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES:
        return ("video",)
    if any(name in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES") for task in _AUDIO_TASKS):
        return ("audio",)
    if str(name).endswith("_vision_model") or any(
        name in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES") for task in _PICTURE_TASKS
    ):
        return PICTURES
    if str(name).endswith("_text_model") or any(
        name in getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES") for task in _TEXT_TASKS
    ):
        return ("text",)
    return ()


def level_of(
    asked: Level | Literal["auto"], kind: Kind, config: Mapping[str, Any], layers: str = "last"
) -> Level:
    """Return which output is kept: ``asked``, or for ``auto`` the usual one of such models.

    Args:
        asked: the option ``level``.
        kind: what the model reads.
        config: content of ``config.json``.
        layers: the option ``layers``.

    Raises:
        OptionError: ``projected`` was asked of a model without a projection, or of other layers
            than the last.
    """
    is_two = config.get("model_type") in TWO_TOWERS
    if asked == "projected" and not is_two:
        raise OptionError(f"hf.level=projected: {config.get('model_type')} has no projection")
    if layers != "last" and (asked == "projected" or (asked == "auto" and is_two)):
        raise OptionError(
            f"hf.layers={layers}: the projection of a {config.get('model_type')} model reads its "
            "last layer only; add level=tokens, mean or first"
        )
    if asked != "auto":
        return asked
    if is_two:
        return "projected"
    is_sequence = kind in {"text", "audio"}
    is_spectral = config.get("model_type") == "audio-spectrogram-transformer"
    return "tokens" if is_sequence and not is_spectral else "pooler"


def video_frames(config: Mapping[str, Any]) -> int:
    """Return how many frames a video model reads at once."""
    parts = config, config.get("vision_config") or {}
    known = (part[name] for part in parts for name in _DECLARED_FRAMES if part.get(name))
    return int(next(known, 16))


def tower_of(config: Any, kind: Kind) -> Any:
    """Return the part of a configuration object that describes the tower which reads ``kind``.

    For a model of one tower it is the whole configuration.
    """
    tower = {"text": "text_config", "audio": "audio_config"}.get(kind, "vision_config")
    return getattr(config, tower, None) or config


def width_of(config: Any, kind: Kind, level: Level) -> int:
    """Return the width D of the tokens.

    Args:
        config: transformers' configuration object.
        kind: what the model reads.
        level: which output is kept.

    Raises:
        WeightsError: the configuration does not contain the width.
    """
    part = tower_of(config, kind)
    if level == "projected":
        own = getattr(part, "projection_size", None) if kind == "text" else None
        common = None if config.model_type in _NO_COMMON_WIDTH else config
        known = own or getattr(common, "projection_dim", None)
        if known:
            return int(known)
    if kind == "text" and config.model_type == "altclip":
        return int(part.project_dim)
    for name in ("hidden_size", "d_model", "hidden_sizes", "embed_dim", "hidden_dim"):
        value = getattr(part, name, None)
        if isinstance(value, (list, tuple)) and value:  # one width for each stage
            return int(value[-1])
        if isinstance(value, int):
            return value
    raise WeightsError(f"hf: the configuration of {config.model_type} does not contain its width")
