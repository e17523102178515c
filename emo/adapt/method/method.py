"""Choose which parameters of backbones are trained: all, LoRA matrices, or those a pattern names.

It also works on networks of :meth:`emo.extract.models.model.Model.skeleton`, so that parameters
can be counted without weights.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from emo.adapt.method.targets import (
    Reached,
    check_layer,
    exactly,
    named_layers,
    peft_words,
    reached_of,
    refuse_missing,
    target_words,
)
from emo.adapt.options import AdaptOptions
from emo.errors import FitError, OptionError, listed
from emo.extract.backbone import Inputs
from emo.extract.models.model import Model

ADAPTER = "default"
"""Name of the adapter inside peft's layers."""


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
    reached = {recipe: reached_of(model, samples[recipe]) for recipe, model in models.items()}
    unreached = _unreached(reached)
    adapters: dict[tuple[str, str], Any] = {}
    if options.method == "lora":
        called = {layer for each in reached.values() for layer in each.called}
        adapters = _with_lora(models, options, called, unreached)
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


def _unreached(reached: Mapping[str, Reached]) -> frozenset[str]:
    """Return the parameters ``RECIPE.OPTION.NAME`` that no token depends on."""
    return frozenset(
        f"{recipe}.{name}" for recipe, found in reached.items() for name in found.unreached
    )


def _with_lora(
    models: Mapping[str, Model],
    options: AdaptOptions,
    called: Set[nn.Module],
    unreached: frozenset[str],
) -> dict[tuple[str, str], Any]:
    """Put LoRA layers into the networks that have layers of the named targets.

    Args:
        models: backbones by the names of their recipes.
        options: the method's options.
        called: layers that a forward pass calls.
        unreached: parameters that no token depends on.
    """
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    targets = target_words(options.target_modules)
    every = {
        f"{recipe}.{option}.{name}": layer
        for recipe, option, network in named_networks(models)
        for name, layer in network.named_modules()
    }
    found: set[str | None] = set()
    adapters = {}
    for recipe, option, network in named_networks(models):
        network.requires_grad_(False)
        layers = named_layers(network, targets)
        chosen = {}
        for name, (layer, target) in layers.items():
            where = f"{recipe}.{option}.{name}"
            parameters = [f"{where}.{own}" for own, _ in layer.named_parameters()]
            if layer in called and not all(each in unreached for each in parameters):
                check_layer(where, layer)
                chosen[name] = target
        if not chosen:
            continue
        found |= set(chosen.values())
        is_part = targets is None or len(chosen) < len(layers)
        config = LoraConfig(
            r=options.lora_r, lora_alpha=options.lora_alpha,  # type: ignore[arg-type]
            lora_dropout=options.lora_dropout, bias=options.lora_bias,  # type: ignore[arg-type]
            target_modules=exactly(list(chosen)) if is_part else peft_words(targets or ()),
            fan_in_fan_out=any(isinstance(network.get_submodule(each), Conv1D) for each in chosen),
        )  # fmt: skip
        adapters[recipe, option] = LoraModel(  # a skeleton's matrices need no random values
            network, config, ADAPTER, low_cpu_mem_usage=not models[recipe].has_values
        )
    missing = [target for target in targets or () if target not in found]
    if missing or not found:
        refuse_missing(missing, every, called, unreached)
    for recipe in models:
        if not any(recipe == name for name, _ in adapters):
            raise OptionError(
                f"--backbone {recipe}: none of its layers is named in --target-modules; name one, "
                "or extract its tokens and read them with --features"
            )
    return adapters


def _check_reached(
    models: Mapping[str, Model], samples: Mapping[str, Sequence[Inputs]]
) -> frozenset[str]:
    """Return trained parameters without any gradient, and refuse LoRA matrices among them.

    Raises:
        OptionError: LoRA matrices get no gradient.
    """
    lost = _unreached({name: reached_of(model, samples[name]) for name, model in models.items()})
    odd = sorted({name.partition(".lora_")[0] for name in lost if ".lora_" in name})
    if odd:
        raise OptionError(
            f"--target-modules: LoRA matrices of {listed(odd)} get no gradient; leave these layers "
            "out, or use --method full"
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
