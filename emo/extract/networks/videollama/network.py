"""Video-LLaMA's video and audio branches: pixels and spectrograms to inputs of its language model.

Attributes that hold a Q-Former or a projection have the names of the original checkpoint.
Source: Zhang et al. 2023 (arXiv:2306.02858); Li et al. 2023 (arXiv:2301.12597) for BLIP-2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import Blip2VisionConfig, Blip2VisionModel

from emo.errors import WeightsError
from emo.extract.networks.imagebind.inputs import AUDIO_PIECES
from emo.extract.networks.imagebind.network import ImageBindAudio, TowerSizes, count_layers
from emo.extract.networks.videollama.qformer import QFormer, QFormerSizes

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_BLOCKS = 39  # the 40th block of EVA ViT-g is not used
_HEAD = 88  # width of an attention head of EVA ViT-g


@dataclass(frozen=True)
class VisionSizes:
    """Sizes of the vision transformer."""

    image: int
    """Side of an image in pixels."""
    patch: int
    """Side of a patch in pixels."""
    width: int
    """Width of the transformer."""
    layers: int
    """Number of transformer blocks."""
    heads: int
    """Attention heads of a block."""
    hidden: int
    """Width inside the MLP of a block."""

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Read the sizes from the shapes of the checkpoint's tensors.

        Args:
            tensors: tensors by their original names.
            config: sizes that shapes do not tell, for models unlike the published one.
        """
        patches, width = tensors["visual_encoder.pos_embed"].shape[1:]
        patch = tensors["visual_encoder.patch_embed.proj.weight"].shape[-1]
        layers = min(_BLOCKS, count_layers(tensors, "visual_encoder.blocks."))
        return cls(
            image=isqrt(patches - 1) * patch,
            patch=patch,
            width=width,
            layers=config.get("depth", layers),
            heads=config.get("num_heads", width // _HEAD),
            hidden=len(tensors["visual_encoder.blocks.0.mlp.fc1.weight"]),
        )


class VideoBranch(nn.Module):
    """Branch that reads each frame by itself, then the frames of a window together."""

    def __init__(
        self,
        vision: VisionSizes,
        frame: QFormerSizes,
        window: QFormerSizes,
        *,
        positions: int,
        llama_width: int,
    ) -> None:
        """Build the branch with random weights.

        Args:
            vision: sizes of the vision transformer.
            frame: sizes of the Q-Former of one frame.
            window: sizes of the Q-Former of a window.
            positions: most frames of a window.
            llama_width: width of the language model.
        """
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
        """Check that the weights fit the number of frames and their side in pixels.

        Raises:
            WeightsError: they do not.
        """
        most, image = self.video_frame_position_embedding.num_embeddings, self.image
        if frames > most or size != image:
            raise WeightsError(
                f"videollama: these weights take up to {most} frames of {image} pixels, got "
                f"frames={frames} and size={size}"
            )

    def pieces(self, frames: Tensor) -> Tensor:
        """Encode each frame by itself: uint8 (n, H, W, 3) -> (n, queries, width)."""
        return self.encoded_frames(normalise(frames))

    def encoded_frames(self, pixels: Tensor) -> Tensor:
        """Encode normalised frames: float32 (n, 3, H, W) -> (n, queries, width)."""
        # not pooler_output, which is normalised twice
        read: Tensor = self.Qformer(self.visual_encoder(pixels).last_hidden_state)
        return read

    def with_positions(self, pieces: Tensor) -> Tensor:
        """Add the embedding of each frame's position and join the F frames of a window.

        Args:
            pieces: (n, F, queries, width).

        Returns:
            (n, F * queries, width).
        """
        positions = self.video_frame_position_embedding.weight[: pieces.shape[1], None]
        return (pieces + positions).flatten(1, 2)

    def windows(self, pieces: Tensor) -> Tensor:
        """Encode windows of F frames: (n, F, queries, width) -> (n, video queries, width)."""
        read: Tensor = self.video_Qformer(self.with_positions(pieces))
        return read

    def projected(self, pieces: Tensor) -> Tensor:
        """Encode windows and project them: (n, F, queries, width) -> (n, video queries, D)."""
        tokens: Tensor = self.llama_proj(self.windows(pieces))
        return tokens


class AudioBranch(nn.Module):
    """Branch that reads each piece of 2 s by itself, then the pieces of a window together."""

    def __init__(
        self, tower: TowerSizes, window: QFormerSizes, *, positions: int, llama_width: int
    ) -> None:
        """Build the branch with random weights.

        Args:
            tower: sizes of ImageBind's audio tower.
            window: sizes of the Q-Former of a window.
            positions: most pieces of a window.
            llama_width: width of the language model.
        """
        super().__init__()
        self.audio_encoder = ImageBindAudio(tower)
        self.audio_position_embedding = nn.Embedding(positions, tower.dim)
        self.audio_Qformer = QFormer(window)
        self.audio_llama_proj = nn.Linear(window.width, llama_width)

    def check(self, frames: int, size: int) -> None:
        """Check that the weights fit the number of pieces; the arguments are not used.

        Raises:
            WeightsError: they do not.
        """
        most = self.audio_position_embedding.num_embeddings
        if most < AUDIO_PIECES:
            raise WeightsError(
                f"videollama: expected weights for {AUDIO_PIECES} pieces of audio, these take up "
                f"to {most}"
            )

    def pieces(self, mels: Tensor) -> Tensor:
        """Encode each piece by itself: float32 (n, 1, mels, T) -> (n, dim)."""
        embedded: Tensor = self.audio_encoder(mels)
        return embedded

    def with_positions(self, pieces: Tensor) -> Tensor:
        """Add the embedding of each piece's position: (n, P, dim), the shape stays."""
        return pieces + self.audio_position_embedding.weight[: pieces.shape[1]]

    def windows(self, pieces: Tensor) -> Tensor:
        """Encode windows of P pieces: (n, P, dim) -> (n, audio queries, width)."""
        read: Tensor = self.audio_Qformer(self.with_positions(pieces))
        return read

    def projected(self, pieces: Tensor) -> Tensor:
        """Encode windows and project them: (n, P, dim) -> (n, audio queries, D)."""
        tokens: Tensor = self.audio_llama_proj(self.windows(pieces))
        return tokens


def normalise(frames: Tensor) -> Tensor:
    """Normalise frames by CLIP's mean and deviation: uint8 (n, H, W, 3) -> (n, 3, H, W)."""
    mean, std = (torch.tensor(numbers, device=frames.device) for numbers in (_MEAN, _STD))
    return ((frames.float() / 255 - mean) / std).permute(0, 3, 1, 2)
