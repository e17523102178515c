"""Read the option ``layers``: which layers of a transformers model make which stream.

Layers are numbered as transformers numbers ``hidden_states``: 0 is the input of the first layer
(embeddings, or the output of the convolutions), 1 the output of the first layer, and so on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from emo.errors import OptionError, WeightsError
from emo.extract.networks.hf.kinds import Kind, tower_of

EACH = "each"
"""Value of the option ``layers`` that makes a stream of each layer."""
Layers = tuple[int, ...] | None
"""Numbers of the layers that are averaged; empty: all but layer 0; None: the model's output."""
_COUNTS = (
    "encoder_num_hidden_layers", "encoder_layers", "num_hidden_layers", "num_layers", "n_layer",
)  # fmt: skip
"""Names of the number of layers in configurations; the encoder's own come first."""
_UNEQUAL = ("depths", "hidden_sizes", "block_sizes")
"""Fields of configurations of models whose layers differ in size, such as ConvNeXt."""


def layer_numbers(layers: str) -> Layers:
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
            f"layers: expected last, mean, each or numbers such as -2,-1; got {layers!r}"
        ) from None


def layers_of_streams(layers: str, stream: str, config: Any, kind: Kind) -> dict[str, Layers]:
    """Return the streams, and the layers of the model that are averaged in each.

    Args:
        layers: the option ``layers``.
        stream: name of the stream, ``audio``; with ``each`` its start: ``audio-0``, ``audio-1`` …
        config: transformers' configuration object; it may be None unless ``each`` is asked, and
            numbers are then not checked.
        kind: what the model reads.

    Raises:
        OptionError: ``each`` was asked of a model whose layers differ in size, or the
            configuration says that there is no layer of a number.
        WeightsError: ``each`` was asked, and the configuration does not say how many layers
            there are.
    """
    if layers != EACH:
        numbers = layer_numbers(layers)
        _check_numbers(numbers or (), config, kind)
        return {stream: numbers}
    return {f"{stream}-{number}": (number,) for number in range(_count(config, kind) + 1)}


def hidden_states(out: Mapping[str, Any], wanted: Sequence[Layers]) -> Sequence[Any]:
    """Return the outputs of a model's layers; empty if only its last output is wanted.

    Args:
        out: what the model returned.
        wanted: the layers of each stream.

    Raises:
        WeightsError: the model returned no layers, another number of them than its configuration
            says, or lacks a layer that was asked for.
    """
    if wanted[0] is None:
        return ()
    every: Sequence[Any] = out.get("hidden_states") or ()
    numbers = [number for each in wanted for number in each or ()]
    is_each = len(wanted) > 1
    if not every or (is_each and len(every) != len(wanted)):
        raise WeightsError(
            f"hf.layers: the model returns {len(every)} layers, not the "
            f"{len(wanted) if is_each else 'one or more'} that were expected; leave layers out"
        )
    for number in numbers:
        if not -len(every) <= number < len(every):
            raise WeightsError(
                f"hf.layers: the model has no layer {number}; it has 0 to {len(every) - 1}"
            )
    return every


def _check_numbers(numbers: Sequence[int], config: Any, kind: Kind) -> None:
    """Refuse a layer that the model lacks, if the configuration says how many it has.

    Raises:
        OptionError: there is no layer of a number.
    """
    if not numbers or config is None or _differ(config, kind):
        return
    count = _stated_count(config, kind)
    for number in numbers:
        if count is not None and not -count - 1 <= number <= count:
            raise OptionError(
                f"hf.layers: the model has no layer {number}; it has 0 to {count}, "
                f"or counted from the end -1 to {-count - 1}"
            )


def _differ(config: Any, kind: Kind) -> bool:
    """Return whether the layers of the model differ in size."""
    part = tower_of(config, kind)
    return any(isinstance(getattr(part, name, None), (list, tuple)) for name in _UNEQUAL)


def _stated_count(config: Any, kind: Kind) -> int | None:
    """Return the number of layers in the configuration, without the input of the first one."""
    part = tower_of(config, kind)
    values = (getattr(part, name, None) for name in _COUNTS)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def _count(config: Any, kind: Kind) -> int:
    """Return the number of layers, without the input of the first one."""
    if _differ(config, kind):
        raise OptionError(
            f"hf.layers=each: the layers of a {config.model_type} model differ in size, so that "
            "they make no streams of one width; leave layers out"
        )
    count = _stated_count(config, kind)
    if count is not None:
        return count
    raise WeightsError(
        f"hf.layers=each: the configuration of {config.model_type} does not say how many layers "
        "the model has; give their numbers, such as layers=-2,-1"
    )
