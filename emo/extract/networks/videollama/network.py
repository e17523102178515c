"""Video-LLaMA's video and audio branches, from pixels and spectrograms to its language model.

Attributes that hold a Q-Former or a projection carry the names of the original checkpoint.
Source: Zhang et al. 2023 (arXiv:2306.02858); Li et al. 2023 (arXiv:2301.12597) for BLIP-2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import (
    Blip2QFormerConfig,
    Blip2QFormerModel,
    Blip2VisionConfig,
    Blip2VisionModel,
)

from emo.errors import WeightsError
from emo.extract.networks.imagebind.inputs import AUDIO_PIECES
from emo.extract.networks.imagebind.network import ImageBindAudio, TowerSizes, count_layers

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_BLOCKS = 39  # the 40th block of EVA ViT-g is not used
_VISION_HEAD, _QFORMER_HEAD = 88, 64  # widths of a head


@dataclass(frozen=True)
class VisionSizes:
    """Widths and counts of the vision transformer."""

    image: int
    """Pixels, side of an image."""
    patch: int
    width: int
    layers: int
    heads: int
    hidden: int

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Read from the shapes of the checkpoint; ``config`` knows the heads of other models."""
        patches, width = tensors["visual_encoder.pos_embed"].shape[1:]
        patch = tensors["visual_encoder.patch_embed.proj.weight"].shape[-1]
        layers = min(_BLOCKS, count_layers(tensors, "visual_encoder.blocks."))
        return cls(
            image=isqrt(patches - 1) * patch,
            patch=patch,
            width=width,
            layers=config.get("depth", layers),
            heads=config.get("num_heads", width // _VISION_HEAD),
            hidden=len(tensors["visual_encoder.blocks.0.mlp.fc1.weight"]),
        )


@dataclass(frozen=True)
class QFormerSizes:
    """Widths and counts of a Q-Former."""

    queries: int
    """Learned queries: the tokens that come out."""
    width: int
    layers: int
    heads: int
    hidden: int
    memory: int
    """Width of the tokens it reads."""
    frequency: int
    """Every so many layers one reads the memory, from the first on."""

    @classmethod
    def of(
        cls, tensors: Mapping[str, Tensor], prefix: str, frequency: int, config: Mapping[str, Any]
    ) -> Self:
        """Read from the shapes of the checkpoint; ``prefix`` is "", "video_" or "audio_"."""
        queries, width = tensors[f"{prefix}query_tokens"].shape[1:]
        layers = f"{prefix}Qformer.bert.encoder.layer."
        return cls(
            queries=queries,
            width=width,
            layers=config.get("num_hidden_layers", count_layers(tensors, layers)),
            heads=config.get("num_attention_heads", width // _QFORMER_HEAD),
            hidden=len(tensors[f"{layers}0.intermediate_query.dense.weight"]),
            memory=tensors[f"{layers}0.crossattention.self.key.weight"].shape[1],
            frequency=config.get("cross_attention_freq", frequency),
        )


class QFormer(nn.Module):
    """Learned queries that read tokens: (n, T, memory) -> (n, queries, width)."""

    def __init__(self, sizes: QFormerSizes) -> None:
        """Random weights."""
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(1, sizes.queries, sizes.width))
        self.bert = Blip2QFormerModel(
            Blip2QFormerConfig(
                hidden_size=sizes.width,
                num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.heads,
                intermediate_size=sizes.hidden,
                cross_attention_frequency=sizes.frequency,
                encoder_hidden_size=sizes.memory,
            )
        )

    def forward(self, memory: Tensor) -> Tensor:
        """As the class says; no masks."""
        queries = self.queries.expand(len(memory), -1, -1)
        read: Tensor = self.bert(
            query_embeds=queries, encoder_hidden_states=memory
        ).last_hidden_state
        return read


class VideoBranch(nn.Module):
    """Frames one by one, then those of a window together."""

    def __init__(
        self,
        vision: VisionSizes,
        frame: QFormerSizes,
        window: QFormerSizes,
        *,
        positions: int,
        llama_width: int,
    ) -> None:
        """Random weights."""
        super().__init__()
        self.visual_encoder = Blip2VisionModel(
            Blip2VisionConfig(
                image_size=vision.image,
                patch_size=vision.patch,
                hidden_size=vision.width,
                num_hidden_layers=vision.layers,
                num_attention_heads=vision.heads,
                intermediate_size=vision.hidden,
            )
        )
        self.visual_encoder.post_layernorm.eps = 1e-5  # transformers has 1e-6
        self.image = vision.image
        self.Qformer = QFormer(frame)
        self.video_frame_position_embedding = nn.Embedding(positions, frame.width)
        self.video_Qformer = QFormer(window)
        self.llama_proj = nn.Linear(window.width, llama_width)

    def check(self, frames: int, size: int) -> None:
        """Raise WeightsError when the weights cannot take so many frames of so many pixels."""
        most, image = self.video_frame_position_embedding.num_embeddings, self.image
        if frames > most or size != image:
            raise WeightsError(
                f"videollama: these weights take up to {most} frames of {image} pixels, got "
                f"frames={frames} and size={size}"
            )

    def pieces(self, frames: Tensor) -> Tensor:
        """uint8 (n, H, W, 3) -> (n, queries, width)."""
        return self.seen(normalise(frames))

    def seen(self, pixels: Tensor) -> Tensor:
        """Normalised (n, 3, H, W) -> (n, queries, width)."""
        # not pooler_output, which is normalised twice
        read: Tensor = self.Qformer(self.visual_encoder(pixels).last_hidden_state)
        return read

    def placed(self, pieces: Tensor) -> Tensor:
        """(n, F, queries, width) of F frames -> (n, F * queries, width), their places added."""
        positions = self.video_frame_position_embedding.weight[: pieces.shape[1], None]
        return (pieces + positions).flatten(1, 2)

    def windows(self, pieces: Tensor) -> Tensor:
        """(n, F, queries, width) -> (n, video queries, width)."""
        read: Tensor = self.video_Qformer(self.placed(pieces))
        return read

    def projected(self, pieces: Tensor) -> Tensor:
        """(n, F, queries, width) -> (n, video queries, llama width)."""
        tokens: Tensor = self.llama_proj(self.windows(pieces))
        return tokens


class AudioBranch(nn.Module):
    """Pieces of 2 s one by one, then those of a window together."""

    def __init__(
        self, tower: TowerSizes, window: QFormerSizes, *, positions: int, llama_width: int
    ) -> None:
        """Random weights."""
        super().__init__()
        self.audio_encoder = ImageBindAudio(tower)
        self.audio_position_embedding = nn.Embedding(positions, tower.dim)
        self.audio_Qformer = QFormer(window)
        self.audio_llama_proj = nn.Linear(window.width, llama_width)

    def check(self, frames: int, size: int) -> None:
        """Raise WeightsError when the weights cannot take as many pieces as there are."""
        if self.audio_position_embedding.num_embeddings < AUDIO_PIECES:
            raise WeightsError(f"videollama: expected places for {AUDIO_PIECES} pieces of audio")

    def pieces(self, mels: Tensor) -> Tensor:
        """(n, 1, mels, frames) -> (n, dim)."""
        heard: Tensor = self.audio_encoder(mels)
        return heard

    def placed(self, pieces: Tensor) -> Tensor:
        """(n, P, dim) of P pieces, their places added."""
        return pieces + self.audio_position_embedding.weight[: pieces.shape[1]]

    def windows(self, pieces: Tensor) -> Tensor:
        """(n, P, dim) -> (n, audio queries, width)."""
        read: Tensor = self.audio_Qformer(self.placed(pieces))
        return read

    def projected(self, pieces: Tensor) -> Tensor:
        """(n, P, dim) -> (n, audio queries, llama width)."""
        tokens: Tensor = self.audio_llama_proj(self.windows(pieces))
        return tokens


def normalise(frames: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) float32 as CLIP's."""
    mean, std = (torch.tensor(numbers, device=frames.device) for numbers in (_MEAN, _STD))
    return ((frames.float() / 255 - mean) / std).permute(0, 3, 1, 2)
