"""Sizes of Video-LLaMA from ``config.json`` alone, to build its branches without weights.

The entries of ``config.json`` that replace the published sizes are those of the classes here:
``{"sizes": {"vision": {"width": 16}, "llama_width": 24}}``.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from emo.errors import WeightsError
from emo.extract.networks.imagebind.network import TowerSizes
from emo.extract.networks.videollama.network import AudioBranch, VideoBranch, VisionSizes
from emo.extract.networks.videollama.qformer import QFormerSizes

_VISION = VisionSizes(image=224, patch=14, width=1408, layers=39, heads=16, hidden=6144)
_FRAME = QFormerSizes(
    queries=32, width=768, layers=12, heads=12, hidden=3072, memory=1408, frequency=2
)
_WINDOW = QFormerSizes(
    queries=32, width=768, layers=2, heads=12, hidden=3072, memory=768, frequency=1
)
_TOWER = TowerSizes(width=768, layers=12, heads=12, hidden=3072, positions=229, patch=16, dim=1024)
_HEARD = QFormerSizes(
    queries=8, width=768, layers=2, heads=12, hidden=3072, memory=1024, frequency=1
)
_NUMBERS = {"frames": 32, "pieces": 8, "llama_width": 5120, "words": 32000}
"""Entry -> published number: most frames or pieces of a window, width and words of the LLM."""


def branch_of(stream: str, config: Mapping[str, Any]) -> VideoBranch | AudioBranch:
    """Build a branch with random weights in the sizes that ``config.json`` tells.

    Args:
        stream: ``video`` or ``audio``.
        config: content of ``config.json``; sizes that it lacks are the published ones.

    Raises:
        WeightsError: an entry is unknown.
    """
    if stream == "video":
        return VideoBranch(
            _sized(_VISION, "vision", config), _sized(_FRAME, "frame", config),
            _sized(_WINDOW, "window", config),
            positions=published_number("frames", config),
            llama_width=published_number("llama_width", config),
        )  # fmt: skip
    return AudioBranch(
        _sized(_TOWER, "tower", config), _sized(_HEARD, "heard", config),
        positions=published_number("pieces", config),
        llama_width=published_number("llama_width", config),
    )  # fmt: skip


def published_number(name: str, config: Mapping[str, Any]) -> int:
    """Return a number such as ``llama_width`` or ``words``, the published one by default."""
    return int(_entries(config).get(name, _NUMBERS[name]))


def _sized(published: Any, name: str, config: Mapping[str, Any]) -> Any:
    try:
        return type(published)(**(asdict(published) | dict(_entries(config).get(name, {}))))
    except TypeError as error:
        raise WeightsError(f"videollama: config.json: sizes.{name}: {error}") from error


def _entries(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("sizes", {})
    return found if isinstance(found, Mapping) else {}
