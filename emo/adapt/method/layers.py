"""Compute layers again in the backward pass, so that their results need no memory."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from emo.adapt.method.method import named_networks
from emo.errors import OptionError
from emo.extract.models.model import Model


@contextmanager
def layers_again(models: Mapping[str, Model], *, is_on: bool) -> Iterator[int]:
    """Checkpoint the layers of the networks' lists of layers inside the block.

    The Trainer would call a method that only transformers' own models have; and checkpoints that
    are reentrant leave LoRA matrices without any gradient. The gradients here are the same bits.

    Args:
        models: the backbones.
        is_on: False: change nothing.

    Yields:
        The number of layers.

    Raises:
        OptionError: the backbones have no list of layers.
    """
    layers = [each for _, _, network in named_networks(models) for each in _layers(network)]
    if not is_on:
        yield 0
        return
    if not layers:
        raise OptionError("--gradient-checkpointing: the backbones have no list of layers")
    for layer in layers:
        layer.forward = functools.partial(_again, layer, layer.forward)
    try:
        yield len(layers)
    finally:
        for layer in layers:
            del layer.forward


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of the outermost lists of layers."""
    for child in network.children():
        if isinstance(child, nn.ModuleList):
            yield from (
                each for each in child if not isinstance(each, nn.ModuleList | nn.ModuleDict)
            )
        else:
            yield from _layers(child)


def _again(layer: nn.Module, forward: Any, *args: Any, **words: Any) -> Any:
    if not (torch.is_grad_enabled() and layer.training):
        return forward(*args, **words)
    return checkpoint(forward, *args, use_reentrant=False, **words)
