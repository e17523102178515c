"""LanguageBind's towers: CLIP's vision transformer, with attention over time for video, and text.

The modules have the names of the checkpoints, including the spelling ``pre_layrnorm``. Source: Zhu
et al. 2024 (arXiv:2310.01852); PKU-YuanGroup/LanguageBind, languagebind/*/modeling_*.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of one transformer."""

    dim: int
    """Width D of the transformer."""
    hidden: int
    """Width inside the MLP."""
    layers: int
    """Number of layers."""
    heads: int
    """Attention heads of a layer."""
    activation: str
    """Activation of the MLP, a key of :data:`ACTIVATIONS`."""
    epsilon: float
    """Epsilon of the layer norms."""
    projected: int
    """Width of the space that all modalities share."""
    frames: int = 1
    """Frames of a clip or window."""
    has_time: bool = False
    """Whether each layer begins with attention over the frames."""


@dataclass(frozen=True)
class PatchGrid:
    """Size of a vision tower's picture and of its patches."""

    height: int
    """Height of a picture in pixels (or mel bands)."""
    width: int
    """Width of a picture in pixels (or steps of 10 ms)."""
    patch: int
    """Side of a patch in pixels."""
    has_class_a_frame: bool = False
    """Whether each frame has a class embedding of its own (V1.5)."""

    @property
    def tokens(self) -> int:
        """Number of tokens: patches and the class token."""
        return (self.height // self.patch) * (self.width // self.patch) + 1


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        """Build the four projections; ``dim`` is a multiple of ``heads``."""
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.v_proj, self.out_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend over the tokens (n, T, D): (n, T, D).

        Args:
            x: (n, T, D).
            mask: bool (n, 1, T, T), True where a token (row) may attend to another (column).
        """
        query, key, value = (
            project(x).reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )  # (n, heads, T, D / heads)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, sizes: Sizes) -> None:
        """Build the two layers."""
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(sizes.dim, sizes.hidden), nn.Linear(sizes.hidden, sizes.dim)
        self.activation = ACTIVATIONS[sizes.activation]

    def forward(self, x: Tensor) -> Tensor:
        """Map each token (…, D) to (…, D)."""
        out: Tensor = self.fc2(self.activation(self.fc1(x)))
        return out


class Layer(nn.Module):
    """CLIP's pre-norm layer; for video each patch first attends over the frames."""

    def __init__(self, sizes: Sizes) -> None:
        """Build the layer, with attention over time if ``sizes.has_time``."""
        super().__init__()
        self.frames, self.has_time = sizes.frames, sizes.has_time
        self.self_attn = Attention(sizes.dim, sizes.heads)
        self.layer_norm1 = nn.LayerNorm(sizes.dim, sizes.epsilon)
        self.mlp = Mlp(sizes)
        self.layer_norm2 = nn.LayerNorm(sizes.dim, sizes.epsilon)
        if sizes.has_time:
            self.temporal_embedding = nn.Parameter(torch.zeros(1, sizes.frames, sizes.dim))
            self.temporal_attn = Attention(sizes.dim, sizes.heads)
            self.temporal_layer_norm1 = nn.LayerNorm(sizes.dim, sizes.epsilon)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Transform the tokens (n * frames, T, D); ``mask`` is that of :class:`Attention`."""
        if self.has_time:
            x = self._over_time(x)
        x = x + self.self_attn(self.layer_norm1(x), mask)
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out

    def _over_time(self, x: Tensor) -> Tensor:
        """Let each patch attend over the frames: (n * frames, T, D), the shape stays."""
        tokens, dim = x.shape[1:]
        x = x.reshape(-1, self.frames, tokens, dim).transpose(1, 2)  # (n, T, frames, D)
        x = x.reshape(-1, self.frames, dim)
        x = x + self.temporal_embedding  # part of the residual, like in the original code
        x = x + self.temporal_attn(self.temporal_layer_norm1(x))
        return x.reshape(-1, tokens, self.frames, dim).transpose(1, 2).reshape(-1, tokens, dim)


class Encoder(nn.Module):
    """Container of a transformer's layers."""

    def __init__(self, sizes: Sizes) -> None:
        """Build ``sizes.layers`` layers."""
        super().__init__()
        self.layers = nn.ModuleList([Layer(sizes) for _ in range(sizes.layers)])


class VisionEmbeddings(nn.Module):
    """Embeddings of patches, class token and positions."""

    def __init__(self, sizes: Sizes, picture: PatchGrid) -> None:
        """Build the embeddings, one position for each token of the picture."""
        super().__init__()
        self.frames = sizes.frames if picture.has_class_a_frame else 1
        shape = (self.frames, sizes.dim) if picture.has_class_a_frame else (sizes.dim,)
        self.class_embedding = nn.Parameter(torch.zeros(shape))
        patch = picture.patch
        self.patch_embedding = nn.Conv2d(3, sizes.dim, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding(picture.tokens, sizes.dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Embed pictures (n * frames, 3, H, W) as tokens (n * frames, T, D)."""
        patches = self.patch_embedding(frames).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(self.frames, -1).repeat(len(frames) // self.frames, 1)
        x = torch.cat([first[:, None].to(patches.dtype), patches], 1)
        return x + self.position_embedding.weight


class VisionModel(nn.Module):
    """Vision transformer without its projection."""

    def __init__(self, sizes: Sizes, picture: PatchGrid) -> None:
        """Build the transformer with random weights."""
        super().__init__()
        self.embeddings = VisionEmbeddings(sizes, picture)
        self.pre_layrnorm = nn.LayerNorm(sizes.dim, sizes.epsilon)
        self.encoder = Encoder(sizes)
        self.post_layernorm = nn.LayerNorm(sizes.dim, sizes.epsilon)


class VisionTower(nn.Module):
    """Tower that maps video, audio (a spectrogram as picture) or images into the shared space."""

    def __init__(self, sizes: Sizes, picture: PatchGrid) -> None:
        """Build the tower with random weights."""
        super().__init__()
        self.sizes = sizes
        self.vision_model = VisionModel(sizes, picture)
        self.visual_projection = nn.Linear(sizes.dim, sizes.projected, bias=False)

    def states(self, pixels: Tensor) -> Iterator[Tensor]:
        """Yield the tokens (n * frames, T, D) before the first layer and after each layer.

        Args:
            pixels: float32 (n, frames, 3, H, W), normalised.
        """
        x = self.vision_model.pre_layrnorm(self.vision_model.embeddings(pixels.flatten(0, 1)))
        yield x
        for layer in self.vision_model.encoder.layers:
            x = layer(x)
            yield x

    def tokens(self, pixels: Tensor) -> Tensor:
        """Return all tokens of the last layer, (n, frames, T, D), class tokens first, not normed.

        Args:
            pixels: float32 (n, frames, 3, H, W), normalised.
        """
        *_, last = self.states(pixels)
        return last.reshape(*pixels.shape[:2], *last.shape[1:])

    def frames(self, tokens: Tensor) -> Tensor:
        """Return the normed class token of each frame: (n, frames, T, D) -> (n, frames, D)."""
        out: Tensor = self.vision_model.post_layernorm(tokens[:, :, 0])
        return out

    def pooled(self, frames: Tensor) -> Tensor:
        """Average the frames (n, frames, D) and project them: (n, projected)."""
        out: Tensor = self.visual_projection(frames.mean(1))
        return out


class TextEmbeddings(nn.Module):
    """Embeddings of tokens and positions."""

    def __init__(self, dim: int, vocabulary: int, length: int) -> None:
        """Build the embeddings; ``length`` is the longest text in tokens."""
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, dim)
        self.position_embedding = nn.Embedding(length, dim)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ids int64 (n, T): (n, T, D)."""
        words: Tensor = self.token_embedding(ids)
        return words + self.position_embedding.weight[: ids.shape[1]]


class TextModel(nn.Module):
    """Text transformer without its projection."""

    def __init__(self, sizes: Sizes, vocabulary: int, length: int) -> None:
        """Build the transformer with random weights."""
        super().__init__()
        self.embeddings = TextEmbeddings(sizes.dim, vocabulary, length)
        self.encoder = Encoder(sizes)
        self.final_layer_norm = nn.LayerNorm(sizes.dim, sizes.epsilon)


class TextTower(nn.Module):
    """Tower that maps text into the shared space."""

    def __init__(self, sizes: Sizes, vocabulary: int, length: int) -> None:
        """Build the tower with random weights."""
        super().__init__()
        self.sizes, self.length = sizes, length
        self.text_model = TextModel(sizes, vocabulary, length)
        self.text_projection = nn.Linear(sizes.dim, sizes.projected, bias=False)

    def tokens(self, ids: Tensor) -> Tensor:
        """Return the normed tokens (n, T, D) of texts.

        Args:
            ids: int64 (n, T); a text ends at its first largest id, padding follows.
        """
        positions = torch.arange(ids.shape[1], device=ids.device)
        is_word = positions <= ids.argmax(1)[:, None]  # (n, T)
        mask = is_word[:, None, None] & (positions <= positions[:, None])  # (n, 1, T, T)
        x = self.text_model.embeddings(ids)
        for layer in self.text_model.encoder.layers:
            x = layer(x, mask)
        out: Tensor = self.text_model.final_layer_norm(x)
        return out

    def last(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Return the token at the end of each text, where its id is largest.

        Args:
            tokens: (n, T, D) from :meth:`tokens`.
            ids: int64 (n, T).

        Returns:
            (n, D).
        """
        return tokens[torch.arange(len(ids), device=ids.device), ids.argmax(1)]

    def pooled(self, last: Tensor) -> Tensor:
        """Project the last tokens (n, D) into the shared space: (n, projected)."""
        out: Tensor = self.text_projection(last)
        return out
