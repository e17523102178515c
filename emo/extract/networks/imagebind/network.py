"""ImageBind's audio tower: a vision transformer over log-mel spectrograms of 2 s.

Source: Girdhar et al. 2023 (arXiv:2305.05665); written from the paper, not from the original code.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_STRIDE = 10  # patches of 16 x 16 overlap
_HEADS = 12
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class TowerSizes:
    """Sizes of the audio tower."""

    width: int
    """Width of the transformer."""
    layers: int
    """Number of transformer blocks."""
    heads: int
    """Attention heads of a block."""
    hidden: int
    """Width inside the MLP of a block."""
    positions: int
    """Number of positions: patches and the class token."""
    patch: int
    """Side of a patch, in mel bands and in steps of 10 ms."""
    dim: int
    """Width of the embedding."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], prefix: str, config: Mapping[str, Any]) -> Self:
        """Read the sizes from the shapes of the checkpoint's tensors.

        Args:
            tensors: tensors by their original names.
            prefix: what stands before those names.
            config: sizes that shapes do not tell, for models unlike the published one.
        """
        stem = tensors[f"{prefix}modality_preprocessors.audio.rgbt_stem.proj.weight"]
        positions = tensors[f"{prefix}modality_preprocessors.audio.pos_embedding_helper.pos_embed"]
        trunk = f"{prefix}modality_trunks.audio.blocks."
        return cls(
            width=len(stem),
            layers=config.get("audio_num_blocks", count_layers(tensors, trunk)),
            heads=config.get("audio_num_heads", _HEADS),
            hidden=len(tensors[f"{trunk}0.mlp.fc1.weight"]),
            positions=positions.shape[1],
            patch=stem.shape[-1],
            dim=len(tensors[f"{prefix}modality_heads.audio.2.weight"]),
        )


class ImageBindAudio(nn.Module):
    """Vision transformer that embeds spectrograms: float32 (n, 1, mels, T) -> (n, dim).

    The embeddings have length ``exp(log_logit_scale)``, at most 100.
    """

    def __init__(self, sizes: TowerSizes) -> None:
        """Build the tower with random weights."""
        super().__init__()
        width = sizes.width
        self.stem = nn.Conv2d(1, width, sizes.patch, _STRIDE, bias=False)
        self.stem_norm = nn.LayerNorm(width, eps=1e-5)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, sizes.positions, width))
        self.blocks = nn.Sequential(*(_Block(sizes) for _ in range(sizes.layers)))
        self.head_norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, sizes.dim, bias=False)
        self.log_logit_scale = nn.Parameter(torch.zeros(()))

    def forward(self, mels: Tensor) -> Tensor:
        """Embed spectrograms float32 (n, 1, mels, T): (n, dim)."""
        patches = self.stem(mels).flatten(2).transpose(1, 2)  # (n, patches, width), mel-major
        classes = self.cls_token.expand(len(mels), -1, -1)
        tokens = torch.cat([classes, self.stem_norm(patches)], 1) + self.positions
        embedded = self.head(self.head_norm(self.blocks(tokens))[:, 0])
        scale = self.log_logit_scale.exp().clamp(max=_LARGEST_SCALE)
        return F.normalize(embedded, dim=-1) * scale


def count_layers(names: Iterable[str], prefix: str) -> int:
    """Count the layers in a checkpoint: one more than the highest number after ``prefix``."""
    found = [name[len(prefix) :].split(".")[0] for name in names if name.startswith(prefix)]
    return 1 + max(map(int, found), default=-1)


class _Block(nn.Module):
    """Transformer block: attention, then an MLP, each after a layer norm."""

    def __init__(self, sizes: TowerSizes) -> None:
        super().__init__()
        width = sizes.width
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        # add_bias_kv: one learned key and value besides those of the tokens
        self.attn = nn.MultiheadAttention(width, sizes.heads, add_bias_kv=True, batch_first=True)
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)
        layers = (nn.Linear(width, sizes.hidden), nn.GELU(), nn.Linear(sizes.hidden, width))
        self.mlp = nn.Sequential(OrderedDict(zip(("fc1", "gelu", "fc2"), layers, strict=True)))

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm_1(tokens)
        tokens = tokens + self.attn(normed, normed, normed, need_weights=False)[0]
        mixed: Tensor = tokens + self.mlp(self.norm_2(tokens))
        return mixed
