"""Which streams of a transformers model can be compared with texts, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from emo.extract.models.spaces import calibration_facts, space_of_weights
from emo.extract.models.weights import Found
from emo.extract.networks.hf.kinds import TWO_TOWERS, kind_of, level_of
from emo.extract.networks.hf.options import HFOptions

_SIGMOID = {"siglip", "siglip2"}
"""Model types that were trained with a sigmoid of each pair of a picture and a text."""


def text_options_of(options: HFOptions, config: Mapping[str, Any]) -> HFOptions | None:
    """Return the options that compute texts in the space of a stream; None: there are none.

    Args:
        options: the options of the stream.
        config: content of ``config.json``.
    """
    kind = kind_of(options.input, config)
    if kind == "text":
        return options
    is_two = config.get("model_type") in TWO_TOWERS
    if not is_two or level_of(options.level, kind, config, options.layers) != "projected":
        return None
    return replace(options, input="text", level="projected", trim="none")


def facts_of_model(
    options: HFOptions, found: Found, config: Mapping[str, Any], streams: Sequence[str]
) -> dict[str, Any]:
    """Return the space of the only stream, and what makes its cosines probabilities.

    The streams of a contrastive model share the space of its projection. A model of texts has a
    space of its own for each level and choice of layers. Other streams have none.

    Args:
        options: the options of the stream.
        found: the weight files.
        config: content of ``config.json``.
        streams: names of the streams.
    """
    kind = kind_of(options.input, config)
    level = level_of(options.level, kind, config, options.layers)
    if len(streams) > 1 or not (level == "projected" or kind == "text"):
        return {}
    words = [level] if level == "projected" else ["text", level, f"layers={options.layers}"]
    space = {"space": {streams[0]: space_of_weights("hf", found.digest, *words)}}
    if level != "projected":
        return space
    is_sigmoid = config.get("model_type") in _SIGMOID
    tensors = [path for label, paths in found.paths.items() if "model.safetensors" in label
               for path in paths]  # fmt: skip
    return {**space, **calibration_facts(tensors, streams, is_sigmoid=is_sigmoid)}
