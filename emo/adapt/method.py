"""Choose which parameters of backbones are trained: all, LoRA matrices, or those a pattern names.

It also works on networks of :meth:`emo.extract.models.model.Model.skeleton`, so that parameters
can be counted without weights.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from emo.adapt.options import AdaptOptions
from emo.errors import FitError, OptionError, listed
from emo.extract.backbone import Inputs
from emo.extract.models.model import Model

ADAPTER = "default"
"""Name of the adapter inside peft's layers."""
ALL_LINEAR = "all-linear"
"""Word of ``target_modules`` for all linear layers, as in peft."""
_PATTERN = re.compile(r"[\\^$*+?()\[\]{}|]")
_SHOWN = 12
_MAIN = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention)
"""Layers that can get LoRA matrices; those of a subclass with a forward pass of its own cannot."""


@dataclass(frozen=True, eq=False)
class Method:
    """Which parameters are trained, after :func:`apply_method`."""

    unreached: tuple[str, ...] = ()
    """Parameters ``RECIPE.OPTION.NAME`` that stay frozen because no token depends on them."""
    adapters: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    """(recipe, option) -> peft's ``LoraModel`` around that network; empty without LoRA."""

    def merge(self) -> None:
        """Add the LoRA updates to the weights, in float32, and take the LoRA layers out.

        Raises:
            FitError: the sum is not finite.
        """
        for (recipe, _), lora in self.adapters.items():
            try:
                lora.merge_and_unload(safe_merge=True)
            except ValueError as error:
                raise FitError(f"{recipe}: its adapter cannot be merged: {error}") from error


def named_networks(models: Mapping[str, Model]) -> Iterator[tuple[str, str, nn.Module]]:
    """Yield recipe, option and network of all backbones."""
    for recipe, model in models.items():
        for option, network in model.networks().items():
            yield recipe, option, network


def named_parameters(models: Mapping[str, Model]) -> dict[str, nn.Parameter]:
    """Return all parameters by name ``RECIPE.OPTION.NAME``."""
    return {
        f"{recipe}.{option}.{name}": parameter
        for recipe, option, network in named_networks(models)
        for name, parameter in network.named_parameters()
    }


def apply_method(
    models: Mapping[str, Model], options: AdaptOptions, samples: Mapping[str, Sequence[Inputs]]
) -> Method:
    """Set ``requires_grad`` of all parameters of the backbones, and put LoRA layers in.

    Parameters that no token depends on are frozen, whatever the method.

    Args:
        models: backbones by the names of their recipes; they are changed.
        options: the method and its options.
        samples: by recipe, inputs of clips that together have every stream.

    Raises:
        OptionError: the method names no layer or parameter, or one that cannot be trained so.
    """
    every = named_parameters(models)
    for parameter in every.values():
        parameter.requires_grad_(True)
    unreached = frozenset(
        f"{recipe}.{name}"
        for recipe, model in models.items()
        for name in model.unreached(samples[recipe])
    )
    adapters: dict[tuple[str, str], Any] = {}
    if options.method == "lora":
        adapters = _with_lora(models, options, unreached)
    elif options.method != "full":
        pattern = re.compile(options.method)
        for name, parameter in every.items():
            parameter.requires_grad_(bool(pattern.search(name)))
        if not any(pattern.search(name) for name in every.keys() - unreached):
            some = listed([name for name in every if name not in unreached][:: len(every) // 9 + 1])
            raise OptionError(
                f"--method {options.method}: no parameter of the backbones has such a name, or no "
                f"token depends on it; names are like {some}"
            )
    for name in unreached & every.keys():
        every[name].requires_grad_(False)
    method = Method(tuple(sorted(unreached)), adapters)
    if adapters:
        for name in _check_reached(models, samples):
            named_parameters(models)[name].requires_grad_(False)
    return method


def _with_lora(
    models: Mapping[str, Model], options: AdaptOptions, unreached: frozenset[str]
) -> dict[tuple[str, str], Any]:
    """Put LoRA layers into the networks that have layers of the named targets."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    targets = _targets(options.target_modules)
    found: dict[str | None, int] = {}
    adapters = {}
    for recipe, option, network in named_networks(models):
        network.requires_grad_(False)
        layers = _layers(network, targets)
        idle = {
            name
            for name in layers
            if all(
                f"{recipe}.{option}.{name}.{own}" in unreached
                for own, _ in layers[name][0].named_parameters()
            )
        }
        for name, (layer, target) in layers.items():
            if name not in idle:
                _check_layer(f"{recipe}.{option}.{name}", layer, options)
                found[target] = found.get(target, 0) + 1
        chosen = [name for name in layers if name not in idle]
        if not chosen:
            continue
        config = LoraConfig(
            r=options.lora_r, lora_alpha=options.lora_alpha,  # type: ignore[arg-type]
            lora_dropout=options.lora_dropout, bias=options.lora_bias,  # type: ignore[arg-type]
            target_modules=_exactly(chosen) if idle or targets is None else _peft_words(targets),
        )  # fmt: skip
        adapters[recipe, option] = LoraModel(network, config, ADAPTER)
    missing = [target for target in targets or () if target not in found]
    if missing or not found:
        names = sorted(
            {
                name.rpartition(".")[2]
                for _, _, network in named_networks(models)
                for name, layer in network.named_modules()
                if isinstance(layer, _MAIN)
            }
        )
        raise OptionError(
            f"--target-modules: no layer is named {listed(missing) or 'so'}, or no token depends "
            f"on it; layers are called {', '.join(names[:_SHOWN]) or 'nothing'}"
        )
    for recipe in models:
        if not any(recipe == name for name, _ in adapters):
            raise OptionError(
                f"--backbone {recipe}: none of its layers is named in --target-modules; name one, "
                "or extract its tokens and read them with --features"
            )
    return adapters


def _targets(words: Sequence[str]) -> tuple[str, ...] | None:
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


def _layers(
    network: nn.Module, targets: tuple[str, ...] | None
) -> dict[str, tuple[nn.Module, str | None]]:
    """Return the layers that targets name, each with its first target, as peft reads them."""
    found: dict[str, tuple[nn.Module, str | None]] = {}
    for name, layer in network.named_modules():
        if targets is None:
            if type(layer) is nn.Linear:
                found[name] = (layer, None)
            continue
        for target in targets:
            is_pattern = len(targets) == 1 and _PATTERN.search(target)
            if re.fullmatch(target, name) if is_pattern else f".{name}".endswith(f".{target}"):
                found[name] = (layer, target)
                break
    return found


def _peft_words(targets: tuple[str, ...] | None) -> str | list[str]:
    assert targets is not None
    is_pattern = len(targets) == 1 and _PATTERN.search(targets[0])
    return targets[0] if is_pattern else list(targets)


def _exactly(names: Sequence[str]) -> str:
    """Return a regular expression of these names."""
    return f"(?:{'|'.join(map(re.escape, names))})"


def _check_layer(name: str, layer: nn.Module, options: AdaptOptions) -> None:
    """Check that peft can adapt a layer, and merge the updates into its weight.

    Raises:
        OptionError: it cannot.
    """
    kind = type(layer)
    base = next((each for each in _MAIN if isinstance(layer, each)), None)
    advice = "leave it out of --target-modules, or use --method full"
    if base is None:
        raise OptionError(f"{name}: a layer of type {kind.__name__} gets no LoRA; {advice}")
    is_own = kind.forward is not base.forward or kind.__init__ is not base.__init__
    if (is_own and base is not nn.Linear) or kind.forward is not base.forward:
        raise OptionError(
            f"{name}: LoRA cannot be put into {kind.__name__}, which is no plain "
            f"{base.__name__}; {advice}"
        )
    if hasattr(layer, "parametrizations"):
        raise OptionError(f"{name}: its weight is computed (weight norm), so that LoRA cannot be "
                          f"merged into it; {advice}")  # fmt: skip
    groups = getattr(layer, "groups", 1)
    if groups > 1:
        raise OptionError(
            f"{name}: a convolution of {groups} groups, into which LoRA cannot be merged; {advice}"
        )


def _check_reached(
    models: Mapping[str, Model], samples: Mapping[str, Sequence[Inputs]]
) -> set[str]:
    """Return trained parameters without any gradient, and refuse LoRA matrices among them.

    Raises:
        OptionError: LoRA matrices get no gradient.
    """
    lost = {
        f"{recipe}.{name}"
        for recipe, model in models.items()
        for name in model.unreached(samples[recipe])
    }
    odd = sorted({name.partition(".lora_")[0] for name in lost if ".lora_" in name})
    if odd:
        raise OptionError(
            f"--target-modules: LoRA matrices of {listed(odd)} get no gradient, because the layer "
            "is not called by itself; name the layer around it, such as attn for out_proj"
        )
    return lost


def trained_count(models: Mapping[str, Model]) -> tuple[int, int]:
    """Return the numbers of trained parameters and of all parameters of the backbones."""
    every = named_parameters(models).values()
    trained = sum(each.numel() for each in every if each.requires_grad)
    return trained, sum(each.numel() for each in every)


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """Return the layers of a network that keep running statistics."""
    return [
        layer
        for layer in network.modules()
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)
    ]
