"""Find the layers that ``--target-modules`` names, and which of them can get LoRA matrices."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from torch import nn
from transformers.pytorch_utils import Conv1D

from emo.errors import OptionError, listed
from emo.extract.backbone import Inputs
from emo.extract.models.model import Model

ALL_LINEAR = "all-linear"
"""Word of ``target_modules`` for all linear layers, as in peft."""
_LINEAR = (nn.Linear, Conv1D)
_MAIN = (
    nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention, Conv1D,
)  # fmt: skip
"""Layers that can get LoRA matrices; those of a subclass with a forward pass of its own cannot."""
_PATTERN = re.compile(r"[\\^$*+?()\[\]{}|]")
_SHOWN = 12
_ADVICE = "leave it out of --target-modules, or use --method full"

Named = dict[str, tuple[nn.Module, str | None]]
"""Name of a layer -> the layer, and the first target that names it; None: all linear layers."""


def target_words(words: Sequence[str]) -> tuple[str, ...] | None:
    """Return the words of ``target_modules``; None: all linear layers.

    Raises:
        OptionError: there are none.
    """
    if not words:
        raise OptionError(
            "--method lora: name the layers that are adapted, such as --target-modules "
            f"q_proj,v_proj, or {ALL_LINEAR}"
        )
    return None if tuple(words) == (ALL_LINEAR,) else tuple(words)


def named_layers(network: nn.Module, targets: tuple[str, ...] | None) -> Named:
    """Return the layers that targets name, each with its first target, as peft reads them."""
    found: Named = {}
    for name, layer in network.named_modules():
        if targets is None:
            if type(layer) in _LINEAR:
                found[name] = (layer, None)
            continue
        for target in targets:
            is_pattern = len(targets) == 1 and _PATTERN.search(target)
            if re.fullmatch(target, name) if is_pattern else f".{name}".endswith(f".{target}"):
                found[name] = (layer, target)
                break
    return found


@dataclass(frozen=True)
class Reached:
    """What a forward pass of a backbone reaches."""

    unreached: frozenset[str]
    """Parameters ``OPTION.NAME`` that no token depends on."""
    called: frozenset[nn.Module]
    """Layers that are called by themselves.

    The others are not reached, or a layer around them reads their weight without calling them, as
    PyTorch's attention does with its projections; LoRA matrices in these would get no gradient.
    """


def reached_of(model: Model, samples: Sequence[Inputs]) -> Reached:
    """Return what one forward pass reaches.

    Of a skeleton whose code looks at values it cannot be told: all parameters are then reached and
    all layers called.

    Args:
        model: the backbone.
        samples: inputs of clips that together have every stream.
    """
    called: set[nn.Module] = set()
    every = [layer for network in model.networks().values() for layer in network.modules()]
    hooks = [layer.register_forward_pre_hook(lambda layer, _: called.add(layer)) for layer in every]
    try:
        return Reached(frozenset(model.unreached(samples)), frozenset(called))
    except RuntimeError:  # code that looks at values
        if model.has_values:
            raise
        return Reached(frozenset(), frozenset(every))
    finally:
        for hook in hooks:
            hook.remove()


def check_layer(name: str, layer: nn.Module) -> None:
    """Check that peft can adapt a layer, and merge the updates into its weight.

    Raises:
        OptionError: it cannot.
    """
    if why := why_not(layer):
        raise OptionError(f"{name}: {why}; {_ADVICE}")


def why_not(layer: nn.Module) -> str:
    """Return why peft cannot adapt a layer, or not merge it; empty: it can."""
    kind = type(layer)
    base = next((each for each in _MAIN if isinstance(layer, each)), None)
    if base is None:
        return f"a layer of type {kind.__name__} gets no LoRA"
    is_own = kind.forward is not base.forward or kind.__init__ is not base.__init__
    if (is_own and base is not nn.Linear) or kind.forward is not base.forward:
        return f"LoRA cannot be put into {kind.__name__}, which is no plain {base.__name__}"
    if hasattr(layer, "parametrizations"):
        return "its weight is computed (weight norm), so that LoRA cannot be merged into it"
    groups = getattr(layer, "groups", 1)
    if groups > 1:
        return f"a convolution of {groups} groups, into which LoRA cannot be merged"
    return ""


def refuse_missing(
    missing: Sequence[str],
    layers: Mapping[str, nn.Module],
    called: Set[nn.Module],
    unreached: frozenset[str],
) -> None:
    """Raise OptionError for targets that name no layer that can be adapted; say which can.

    Args:
        missing: the targets; empty: no target at all was found.
        layers: all layers by name, without LoRA layers.
        called: those that a forward pass calls.
        unreached: names of parameters that no token depends on.
    """
    read_inside = {
        name.rpartition(".")[2]
        for target in missing
        for name, layer in layers.items()
        if isinstance(layer, _MAIN) and f".{name}".endswith(f".{target}")
        if layer not in called and f"{name}.weight" not in unreached
    }
    reached = {
        name: layer
        for name, layer in layers.items()
        if layer in called
        if not all(f"{name}.{own}" in unreached for own, _ in layer.named_parameters())
    }
    cannot = {  # a word names all layers of this name
        name.rpartition(".")[2]
        for name, layer in reached.items()
        if isinstance(layer, _MAIN) and why_not(layer)
    }
    can = {name.rpartition(".")[2] for name, layer in reached.items() if not why_not(layer)}
    can -= cannot
    these = f"layers that can be adapted are called {', '.join(sorted(can)[:_SHOWN]) or 'nothing'}"
    if read_inside:
        names = sorted(read_inside)
        raise OptionError(
            f"--target-modules: LoRA matrices of {listed(names)} would get no gradient, because "
            "the attention around these layers reads their weights without calling them; "
            f"{these}. Or train all of these weights: --method '{'|'.join(names)}'"
        )
    named = f"no layer is named {listed(missing)}" if missing else "there is no linear layer"
    raise OptionError(f"--target-modules: {named}, or no token depends on it; {these}")


def peft_words(targets: tuple[str, ...]) -> str | list[str]:
    """Return targets as peft's ``target_modules``: one regular expression, or ends of names."""
    is_pattern = len(targets) == 1 and _PATTERN.search(targets[0])
    return targets[0] if is_pattern else list(targets)


def exactly(names: Sequence[str]) -> str:
    """Return a regular expression of these names."""
    return f"(?:{'|'.join(map(re.escape, names))})"


def within(prefix: str, targets: str | Iterable[str]) -> str:
    """Return peft's ``target_modules`` of a network as an expression of names in a larger one.

    >>> within("encoder", ["q_proj"])
    'encoder\\\\.(?:.*\\\\.)?(?:q_proj)'

    Args:
        prefix: name of the network in the larger one.
        targets: a regular expression, or ends of names.
    """
    if isinstance(targets, str):
        return rf"{re.escape(prefix)}\.(?:{targets})"
    return rf"{re.escape(prefix)}\.(?:.*\.)?{exactly(sorted(targets))}"
