"""Load a transformers model from local files and call the part of it that is needed."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emo.errors import WeightsError
from emo.extract.models.config_checks import check_files
from emo.extract.models.tensor_files.checkpoint import why_unread
from emo.extract.models.tensor_files.formats import foreign_format
from emo.extract.networks.hf.kinds import TWO_TOWERS, Kind, Level
from emo.extract.networks.hf.layers import Layers, hidden_states
from emo.extract.networks.hf.no_code import FOREIGN_CODE, no_foreign_code
from emo.extract.networks.hf.processors import load_processor

_POSITION_TABLES = {"position_embeddings", "position_embedding", "embed_positions", "wpe"}


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
    network, info = read_network(folder, config)
    missing = sorted(info["missing_keys"])
    lacking = [name for name in missing if "pooler" not in name]
    if lacking or (missing and level == "projected"):
        raise WeightsError(f"{folder}: the tensor {(lacking or missing)[0]!r} is missing")
    return encoder_of(network).eval(), not missing


def read_network(folder: Path, config: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Load the whole model with transformers: the model, and which tensors were missing.

    Args:
        folder: folder of the weights.
        config: content of ``config.json``.

    Raises:
        WeightsError: transformers cannot load the files.
    """
    from transformers import AutoModel

    _quiet()
    check_files(folder)
    extra = {"mask_ratio": 0.0} if config.get("model_type") == "vit_mae" else {}
    try:
        with no_foreign_code(folder):
            network, info = AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True, **extra,
            )  # fmt: skip
    except WeightsError:
        raise
    except Exception as error:  # transformers raises many kinds of errors
        raise WeightsError(f"{folder}: {_why(folder, error)}") from error
    return network, info


def empty_network(folder: Path, config: Mapping[str, Any]) -> Any:
    """Build the part of a model that is used, without weights; call it on device meta."""
    return encoder_of(empty_model(folder, config)).eval()


def empty_model(folder: Path, config: Mapping[str, Any]) -> Any:
    """Build the whole model that the configuration describes on device meta, without weights."""
    from transformers import AutoConfig, AutoModel

    _quiet()
    check_files(folder)
    settings = load_processor(AutoConfig, folder)
    if config.get("model_type") == "vit_mae":
        settings.mask_ratio = 0.0
    with no_foreign_code(folder), torch.device("meta"):
        build: Any = AutoModel.from_config
        return build(settings, trust_remote_code=False, dtype=torch.float32)


def encoder_of(network: Any) -> Any:
    """Return the encoder of a model that has one and a decoder; else the model itself."""
    if getattr(network.config, "is_encoder_decoder", False):
        encoder = network.get_encoder()
        if network.main_input_name in _names(encoder.forward):  # DETR's reads no pixels
            return encoder
    return network


@dataclass(frozen=True)
class ModelCall:
    """The function of a model that reads one kind of input."""

    function: Callable[..., Any]
    """Takes the inputs by name, and ``output_hidden_states``; returns transformers' output."""
    names: frozenset[str]
    """Names of the inputs that it takes."""


def call_of(network: Any, kind: Kind, model_type: str, *, is_cut: bool = False) -> ModelCall:
    """Return the function of a model that reads ``kind``.

    Args:
        network: the model.
        kind: what it reads.
        model_type: the model's type in ``config.json``.
        is_cut: let Whisper's encoder read less than 30 s (``window=clip``).
    """
    if is_cut:
        return ModelCall(partial(_call_cut, network), _names(network.forward))
    if model_type in TWO_TOWERS:
        tower = {"text": "text", "audio": "audio", "video": "video"}.get(kind, "image")
        features = getattr(network, f"get_{tower}_features")
        return ModelCall(features, _names(features))
    names = _names(network.forward)
    if model_type == "vit_mae":
        patches = (network.config.image_size // network.config.patch_size) ** 2

        def unshuffled(pixel_values: Tensor, **more: Any) -> Any:
            order = torch.arange(patches, device=pixel_values.device, dtype=torch.float32)
            return network(pixel_values, noise=order.expand(len(pixel_values), -1), **more)

        return ModelCall(unshuffled, names)
    if model_type == "vjepa2":
        return ModelCall(partial(network, skip_predictor=True), names)
    if model_type == "wavlm":

        def without_warning(**inputs: Any) -> Any:
            with warnings.catch_warnings():  # its mask is bool beside a bias of floats
                warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
                return network(**inputs)

        return ModelCall(without_warning, names)
    if hasattr(network, "set_attention_type"):  # BigBird: a short text would switch it for good
        kept = network.config.attention_type

        def sparse(**inputs: Any) -> Any:
            network.set_attention_type(kept)
            return network(**inputs)

        return ModelCall(sparse, names)
    return ModelCall(network, names)


def forward_of(
    call: ModelCall, level: Level, *, layers: Sequence[Layers], has_pooler: bool
) -> Callable[..., Tensor]:
    """Return the forward pass: inputs of n rows (n, …) by name -> outputs (n, streams, t, D).

    The input ``own``, bool (n, t), is not the model's: it tells the tokens of the input from
    those of its padding, which ``mean`` and ``first`` pass over. Without it all tokens count.

    Args:
        call: the function of the model.
        level: which output is kept.
        layers: the layers of each stream, in order; one pass through the model makes them all.
        has_pooler: whether the weights of its pooler were loaded.
    """
    asked = {} if layers[0] is None else {"output_hidden_states": True}

    def forward(own: Tensor | None = None, **inputs: Tensor) -> Tensor:
        out = call.function(**inputs, **asked)
        every = hidden_states(out, layers)
        pooled = out.get("pooler_output") if has_pooler and not every else None
        if level == "projected" or (level == "pooler" and pooled is not None):
            return _one(out.pooler_output)[:, None]
        kept = (
            _flat(out.last_hidden_state) if numbers is None else _mixed(every, numbers)
            for numbers in layers
        )
        return torch.stack([_at_level(tokens, level, own) for tokens in kept], 1)

    return forward


def text_positions(network: Any) -> int | None:
    """Return how many ids of a text the model has positions for; None: any number.

    Models of the RoBERTa family do not use the first rows of their table of positions: these stand
    for padding.

    Args:
        network: the model.
    """
    tower = getattr(network, "text_model", network)
    config = getattr(network, "config", None)
    config = getattr(config, "text_config", config)
    declared = getattr(config, "max_position_embeddings", None)
    counts = [declared] if isinstance(declared, int) and declared > 0 else []
    for name, module in tower.named_modules():
        if name.rpartition(".")[2] in _POSITION_TABLES and hasattr(module, "weight"):
            padding = getattr(module, "padding_idx", None)
            unused = getattr(module, "offset", 0) if padding is None else padding + 1
            counts.append(len(module.weight) - unused)
    return min(counts, default=None)


def _why(folder: Path, error: Exception) -> str:
    """Return why transformers could not load the files: the first one of another format if any."""
    if "trust_remote_code" in str(error):
        return FOREIGN_CODE
    for path in sorted((*folder.glob("*.safetensors"), *folder.glob("*.bin"))):
        if foreign_format(path):
            return f"{path.name}: {why_unread(path, error)}"
    return why_unread(folder / "config.json", error)


def _quiet() -> None:
    """Switch off transformers' progress bars and warnings; missing tensors become our errors."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


class _FirstRows(torch.nn.Module):
    """The first rows of an embedding, through which gradients reach all of it."""

    def __init__(self, table: torch.nn.Embedding, count: int) -> None:
        super().__init__()
        self.table, self.num_embeddings = table, count

    def forward(self, rows: Tensor) -> Tensor:
        """Return the rows float32 (n, D)."""
        return torch.nn.functional.embedding(rows, self.table.weight[: self.num_embeddings])


def _call_cut(encoder: Any, input_features: Tensor, **more: Any) -> Any:
    """Call Whisper's encoder with t tokens instead of those of 30 s: its first t positions.

    Its forward pass refuses other lengths than its table of positions has, so that the table is
    replaced during the call.

    Args:
        encoder: transformers' ``WhisperEncoder``.
        input_features: float32 (n, bands, 2 t).
        more: ``output_hidden_states``.
    """
    count = input_features.shape[-1] // 2
    table, length = encoder.embed_positions, encoder.config.max_source_positions
    try:
        encoder.embed_positions = _FirstRows(table, count)
        encoder.config.max_source_positions = count
        return encoder(input_features, **more)
    finally:
        encoder.embed_positions, encoder.config.max_source_positions = table, length


def _names(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters, without ``*args`` and ``**kwargs``."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)


def _one(pooled: Tensor) -> Tensor:
    """Return a pooled output as one token (n, 1, D).

    Convolutional models give (n, D, 1, 1); FLAVA projects all tokens, and its own loss reads the
    first.
    """
    return pooled[:, :1] if pooled.ndim == 3 else pooled.reshape(len(pooled), 1, -1)


def _flat(hidden: Tensor) -> Tensor:
    """Flatten the (n, D, H, W) of a convolutional model to (n, H * W, D); keep (n, t, D)."""
    return hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden


def _mixed(every: Sequence[Tensor], numbers: tuple[int, ...]) -> Tensor:
    """Average the outputs of some layers: (n, t, D); without numbers of all but the embeddings."""
    chosen = [every[number] for number in numbers] if numbers else list(every[1:])
    return torch.stack([_flat(hidden) for hidden in chosen]).mean(0)


def _at_level(tokens: Tensor, level: Level, own: Tensor | None) -> Tensor:
    """Return the tokens (n, t, D), or for another level than ``tokens`` one of them (n, 1, D)."""
    if level == "tokens":
        return tokens
    if own is None:
        return tokens[:, :1] if level == "first" else tokens.mean(1, keepdim=True)
    chosen = own if level != "first" else own & (own.cumsum(1) == 1)
    weights = chosen / chosen.sum(1, keepdim=True)
    return (tokens[:, : own.shape[1]] * weights[..., None]).sum(1, keepdim=True)
