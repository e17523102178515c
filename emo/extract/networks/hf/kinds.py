"""Tell from a transformers configuration what the model reads and which output is kept."""

from collections.abc import Mapping
from typing import Any, Literal

from emo.errors import OptionError, WeightsError

Kind = Literal["text", "audio", "image", "face", "video", "spectrogram"]
"""What a model reads; ``face``: images that are face crops, ``spectrogram``: images of sound."""
Level = Literal["tokens", "mean", "first", "pooler", "projected"]
"""Which output is kept; see docs/backbones.md."""
TWO_TOWERS = {"clip", "siglip", "siglip2", "clap", "chinese_clip", "altclip", "metaclip_2"}
"""Model types with one tower for text and one for images or audio."""
_DECLARED_FRAMES = ("num_frames", "frames_per_clip")


def kind_of(asked: Kind | Literal["auto"], config: Mapping[str, Any]) -> Kind:
    """Return what the model reads: ``asked``, or for ``auto`` what its type reads.

    Args:
        asked: the option ``input``.
        config: content of ``config.json``.
    """
    if asked != "auto":
        return asked
    from transformers.models.auto import modeling_auto as auto

    name = config.get("model_type")
    if name in auto.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES:
        return "video"
    if name == "clap" or name in auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES:
        return "audio"
    if name in TWO_TOWERS or name in auto.MODEL_FOR_IMAGE_MAPPING_NAMES:
        return "image"
    return "image" if name in auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES else "text"


def level_of(asked: Level | Literal["auto"], kind: Kind, config: Mapping[str, Any]) -> Level:
    """Return which output is kept: ``asked``, or for ``auto`` the usual one of such models.

    Args:
        asked: the option ``level``.
        kind: what the model reads.
        config: content of ``config.json``.

    Raises:
        OptionError: ``projected`` was asked of a model without a projection.
    """
    is_two = config.get("model_type") in TWO_TOWERS
    if asked == "projected" and not is_two:
        raise OptionError(f"hf.level=projected: {config.get('model_type')} has no projection")
    if asked != "auto":
        return asked
    if is_two:
        return "projected"
    is_sequence = kind in {"text", "audio"}
    is_spectral = config.get("model_type") == "audio-spectrogram-transformer"
    return "tokens" if is_sequence and not is_spectral else "pooler"


def video_frames(config: Mapping[str, Any]) -> int:
    """Return how many frames a video model reads at once."""
    return next((int(config[name]) for name in _DECLARED_FRAMES if config.get(name)), 16)


def layer_numbers(layers: str) -> tuple[int, ...] | None:
    """Parse the option ``layers``: ``last`` -> None; ``mean`` -> (); ``-2,-1`` -> (-2, -1).

    Raises:
        ValueError: the option has another form.
    """
    if layers == "last":
        return None
    if layers == "mean":
        return ()
    try:
        return tuple(int(word) for word in str(layers).split(","))
    except ValueError:
        raise ValueError(
            f"layers: expected last, mean or numbers such as -2,-1; got {layers!r}"
        ) from None


def width_of(config: Any, kind: Kind, level: Level) -> int:
    """Return the width D of the tokens.

    Args:
        config: transformers' configuration object.
        kind: what the model reads.
        level: which output is kept.

    Raises:
        WeightsError: the configuration does not contain the width.
    """
    tower = {"text": "text_config", "audio": "audio_config"}.get(kind, "vision_config")
    part = getattr(config, tower, None) or config
    if level == "projected":
        known = getattr(config, "projection_dim", None) or getattr(part, "projection_size", None)
        if known and config.model_type not in {"siglip", "siglip2"}:
            return int(known)
    for name in ("hidden_size", "d_model", "embed_dim", "hidden_dim"):
        if isinstance(getattr(part, name, None), int):
            return int(getattr(part, name))
    if getattr(part, "hidden_sizes", None):
        return int(part.hidden_sizes[-1])
    raise WeightsError(f"hf: the configuration of {config.model_type} does not contain its width")
