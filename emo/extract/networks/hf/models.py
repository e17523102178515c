"""Load a transformers model from local files and call the part of it that is needed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emo.errors import WeightsError
from emo.extract.networks.hf.kinds import TWO_TOWERS, Kind, Level, layer_numbers


def load_network(
    folder: Path, config: Mapping[str, Any], level: Level
) -> tuple[torch.nn.Module, bool]:
    """Load a model.

    Args:
        folder: folder of the weights.
        config: content of ``config.json``.
        level: which output is kept.

    Returns:
        The model in eval mode, and whether the files hold the weights of its pooler.

    Raises:
        WeightsError: a tensor is missing, or transformers cannot load the files.
    """
    from transformers import AutoModel

    _quiet()
    extra = {"mask_ratio": 0.0} if config.get("model_type") == "vit_mae" else {}
    try:
        network, info = AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True, **extra
        )
    except Exception as error:  # transformers raises many kinds of errors
        raise WeightsError(f"{folder}: {str(error).splitlines()[0]}") from error
    missing = sorted(info["missing_keys"])
    lacking = [name for name in missing if "pooler" not in name]
    if lacking or (missing and level == "projected"):
        raise WeightsError(f"{folder}: the tensor {(lacking or missing)[0]!r} is missing")
    if getattr(network.config, "is_encoder_decoder", False):
        network = network.get_encoder()
    return network.eval(), not missing


def forward_of(
    network: Any, kind: Kind, level: Level, *, model_type: str, layers: str, has_pooler: bool
) -> Callable[..., Tensor]:
    """Return the forward pass: inputs of n rows (n, …) -> the kept output (n, t, D).

    Args:
        network: the model.
        kind: what it reads.
        level: which output is kept.
        model_type: the model's type in ``config.json``.
        layers: the option ``layers``.
        has_pooler: whether the weights of its pooler were loaded.
    """
    call = _call_of(network, kind, model_type)
    numbers = layer_numbers(layers)

    def forward(*rows: Tensor) -> Any:
        out = call(*rows, output_hidden_states=numbers is not None)
        if level == "projected":
            return out.pooler_output[:, None]
        if numbers is None and level == "pooler":
            if out.get("pooler_output") is not None and has_pooler:
                return out.pooler_output[:, None]
            return _flat(out.last_hidden_state).mean(1, keepdim=True)
        tokens = _flat(out.last_hidden_state) if numbers is None else _mixed(out, numbers)
        if level == "tokens":
            return tokens
        return tokens[:, :1] if level == "first" else tokens.mean(1, keepdim=True)

    return forward


def _quiet() -> None:
    """Switch off transformers' progress bars and warnings; missing tensors become our errors."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def _call_of(network: Any, kind: Kind, model_type: str) -> Callable[..., Any]:
    """Return the function of the model that reads ``kind``."""
    if model_type == "vit_mae":
        patches = (network.config.image_size // network.config.patch_size) ** 2

        def unshuffled(pixels: Tensor, **more: Any) -> Any:
            order = torch.arange(patches, device=pixels.device, dtype=torch.float32)
            return network(pixels, noise=order.expand(len(pixels), -1), **more)

        return unshuffled
    if model_type == "vjepa2":
        return lambda pixels, **more: network(pixels, skip_predictor=True, **more)
    if model_type in TWO_TOWERS:
        return _tower_of(network, kind)
    return network  # type: ignore[no-any-return]


def _tower_of(network: Any, kind: Kind) -> Callable[..., Any]:
    """Return the function of a model with two towers that reads ``kind``."""
    if kind == "text":
        return network.get_text_features  # type: ignore[no-any-return]
    if kind == "audio":

        def audio(features: Tensor, **more: Any) -> Any:
            longer = torch.zeros(len(features), 1, dtype=torch.bool, device=features.device)
            return network.get_audio_features(features, is_longer=longer, **more)

        return audio

    def image(pixels: Tensor, shapes: Tensor | None = None, **more: Any) -> Any:
        if shapes is None:
            return network.get_image_features(pixels, **more)
        mask = torch.ones(pixels.shape[:2], dtype=torch.int32, device=pixels.device)
        return network.get_image_features(pixels, mask, shapes, **more)

    return image


def _flat(hidden: Tensor) -> Tensor:
    """Flatten the (n, D, H, W) of a convolutional model to (n, H * W, D); keep (n, t, D)."""
    return hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden


def _mixed(out: Any, numbers: tuple[int, ...]) -> Tensor:
    """Average the outputs of some layers: (n, t, D); without numbers of all but the embeddings."""
    every = out.hidden_states
    chosen = [every[number] for number in numbers] if numbers else list(every[1:])
    return torch.stack([_flat(hidden) for hidden in chosen]).mean(0)
