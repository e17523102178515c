"""Configurations of published models that come with emo, to count and forecast without weights.

The folder ``configs/OWNER/NAME/`` holds the ``config.json`` of that model. The tokenizers beside
it know letters or a single word: they make inputs of the right shape, and nothing else.
"""

import dataclasses
from pathlib import Path
from typing import Any

from emo.errors import WeightsError
from emo.extract.models.model import Model
from emo.extract.models.skeleton import holds_tensors, locate_configs
from emo.extract.models.weights import find

CONFIGS = Path(__file__).parent / "configs"


def with_published(kind: type[Model], options: Any) -> tuple[Any, tuple[str, ...]]:
    """Return options whose configurations are on this machine, and which of them emo brought.

    Args:
        kind: class of a backbone.
        options: instance of its ``Options``.

    Returns:
        The options, in which a hub id whose configuration is not here became the folder of the
        one that comes with emo; and these hub ids.

    Raises:
        WeightsError: a configuration is neither on this machine nor part of emo.
    """
    weights = kind.weights(options)
    replaced: dict[str, str] = {}
    for file in weights.files:
        source = weights.source_of(file)
        is_here = file.is_optional or holds_tensors(file) or find(source, file)
        if not is_here and (CONFIGS / source).is_dir():
            replaced[file.option] = source
    folders = {option: str(CONFIGS / source) for option, source in replaced.items()}
    found = dataclasses.replace(options, **folders) if folders else options
    try:
        locate_configs(kind.weights(found))
    except WeightsError as error:
        known = ", ".join(f"{path.parent.name}/{path.name}" for path in sorted(CONFIGS.glob("*/*")))
        raise WeightsError(
            error.args[0],
            more_lines=(*error.more_lines, f"configurations that come with emo: {known}"),
        ) from error
    return found, tuple(dict.fromkeys(replaced.values()))
