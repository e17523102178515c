"""Write small random LanguageBind repositories in the original format, for tests."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emo.extract.networks.languagebind.checkpoint import Config
from emo.extract.networks.languagebind.network import TextTower, VisionTower
from emo.extract.transforms.clip_tokenizer import END, START

_RANK = 2
_SIZES = {
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
_VISION: dict[str, dict[str, Any]] = {
    "video": {"image_size": 16, "num_frames": 4, "add_time_attn": True, "lora_alpha": 16},
    "audio": {"num_mel_bins": 16, "target_length": 48},
    "image": {"image_size": 16},
}


def write_repository(
    folder: Path,
    stream: str,
    *,
    projected: int = 8,
    vision: Mapping[str, Any] = {},
    text: Mapping[str, Any] = {},
) -> None:
    """Write ``config.json``, ``pytorch_model.bin`` and the tokenizer's files of one tower.

    The weights of ``video`` include LoRA adapters.

    Args:
        folder: folder to create.
        stream: ``video``, ``audio`` or ``image``; each comes with a text tower.
        projected: width of the shared space.
        vision: entries of ``vision_config`` that differ from the tiny ones.
        text: entries of ``text_config`` that differ from the tiny ones.
    """
    folder.mkdir(parents=True)
    words = _vocabulary()
    tiny = {"hidden_size": 12, "vocab_size": len(words), "max_position_embeddings": 77, **_SIZES}
    seen = {"hidden_size": 16, "patch_size": 8, **_SIZES, **_VISION[stream], **vision}
    document = {"projection_dim": projected, "vision_config": seen, "text_config": {**tiny, **text}}
    (folder / "config.json").write_text(json.dumps(document))
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e</w>\n")
    torch.save(_tensors(Config(folder, document), stream), folder / "pytorch_model.bin")


def _tensors(config: Config, stream: str) -> dict[str, Tensor]:
    words = config.get("text_config", "vocab_size")
    towers = (
        VisionTower(config.sizes("vision_config"), config.picture),
        TextTower(config.sizes("text_config"), words, 77),
    )
    tensors = {"logit_scale": torch.tensor(2.6592)}
    for tower in towers:
        for name, value in tower.state_dict().items():
            # the division keeps the size of the activations from layer to layer
            spread = 0.2 if value.ndim < 2 else 0.8 / value[0].numel() ** 0.5
            tensors[name] = value + torch.randn(value.shape) * spread
    return _with_adapters(tensors) if stream == "video" else tensors


def _with_adapters(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    peft = "vision_model.encoder.base_model.model.layers."
    tensors = {n.replace("vision_model.encoder.layers.", peft): t for n, t in tensors.items()}
    for name in [name for name in tensors if re.search(r"temporal_attn\.\w+\.weight", name)]:
        module, (rows, columns) = name.removesuffix(".weight"), tensors[name].shape
        tensors[f"{module}.lora_A.default.weight"] = torch.randn(_RANK, columns) * 0.2
        tensors[f"{module}.lora_B.default.weight"] = torch.randn(rows, _RANK) * 0.2
    return tensors


def _vocabulary() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    return [*letters, *(letter + "</w>" for letter in letters), "th", "the</w>", START, END]
