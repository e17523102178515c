"""Hold config.json of somebody else's model against a few rules, before transformers reads it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emo.errors import WeightsError
from emo.extract.models.tensor_files.checkpoint import read_config
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import kind_of_file

_ATTENTION = ("eager", "sdpa")
"""Code of attention that runs here; other names are libraries, or code on a model hub."""
_MOST_COUNT = 1_000_000
"""Largest count of layers, labels or heads, of which transformers makes lists."""
_MOST_SIDE, _MOST_RATE, _MOST_SECONDS = 20_000, 768_000, 3600
"""Largest side of a picture in pixels, sample rate in Hz, and padded length in seconds."""
_COUNT = re.compile(r"(^|_)(num|n|layers?|depths?|blocks?|heads?|labels?)(_|$)")
_BOUNDS = {
    "height": _MOST_SIDE, "width": _MOST_SIDE, "shortest_edge": _MOST_SIDE,
    "longest_edge": 2**26, "sampling_rate": _MOST_RATE, "chunk_length": _MOST_SECONDS,
}  # fmt: skip
"""Entry of a processor's configuration -> largest number."""


def check_files(folder: Path) -> None:
    """Check the configurations of a model and its processors, and that no file is a pipe.

    Args:
        folder: folder of the weights.

    Raises:
        WeightsError: a file asks for code that is not here, names a size that no model has, or is
            a pipe or device.
    """
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.exists() and (found := kind_of_file(path)):
            raise WeightsError(f"{path}: {found}")
        if path.name == "config.json" or path.name.endswith("processor_config.json"):
            for name, value in _entries(read_config(path)):
                if wrong := _wrong(name, value):
                    raise WeightsError(f"{path}: {shortened(name, 60)}: {wrong}")


def _wrong(name: str, value: Any) -> str | None:
    """Return what is wrong with an entry; None: nothing."""
    key = name.rpartition(".")[2]
    if isinstance(value, list) or (isinstance(value, dict) and key != "quantization_config"):
        return None  # its entries are looked at
    if "attn_implementation" in name and value is not None and value not in _ATTENTION:
        return (
            f"asks for the attention {shortened(repr(value), 60)}; emo runs "
            f"{' and '.join(_ATTENTION)} alone, and loads no code from a hub: remove the entry"
        )
    if "_implementation" in name and isinstance(value, str) and not value.isidentifier():
        return f"asks for the code {shortened(repr(value), 60)}, which emo does not load"
    if key == "quantization_config" and value is not None:
        return "the weights are quantized, which emo does not read: get those of full precision"
    most = _BOUNDS.get(key, _MOST_COUNT if _COUNT.search(key) else None)
    if most is not None and type(value) in (int, float) and abs(value) > most:
        return f"expected a number up to {most:,}, got {shortened(str(value), 40)}"
    return None


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield all entries of a document by dotted names; an item of a list has its list's name."""
    waiting: list[tuple[str, Any]] = list(document.items())
    while waiting:
        name, value = waiting.pop()
        yield name, value
        if isinstance(value, dict):
            waiting += [(f"{name}.{key}", each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [(name, each) for each in value]
