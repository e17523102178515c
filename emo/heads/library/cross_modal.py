"""Run one transformer over the tokens of all streams together; absent streams are masked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.head import Batch, Head
from emo.heads.layers.segments import Classifier, project, segment_ids, shorten
from emo.ragged import Ragged


@dataclass(frozen=True)
class CrossModalOptions:
    """Options of :class:`CrossModal`."""

    width: int = field(
        default=128,
        metadata={"search": (64, 128, 256), "help": "Width of a token, a multiple of heads."},
    )
    heads: int = field(default=4, metadata={"help": "Attention heads of each layer."})
    layers: int = field(
        default=2, metadata={"search": (1, 2), "help": "Layers of the transformer."}
    )
    longest: int = field(
        default=32,
        metadata={"help": "Most tokens of a clip; longer clips become means of so many windows."},
    )
    dropout: float = field(
        default=0.1,
        metadata={
            "search": (0.1, 0.3, 0.5),
            "help": "Dropout in the layers and before the logits, in [0, 1).",
        },
    )

    def __post_init__(self) -> None:
        if self.longest < 1 or self.layers < 1 or self.width % self.heads:
            raise ValueError(
                f"expected longest and layers >= 1 and width a multiple of heads, got {self}"
            )


class TransformerLayer(nn.Module):
    """Transformer layer with normalisation first: (N, L, W) tokens, (N, L) mask -> (N, L, W).

    torch's own layer takes another code path when no gradients are needed, so this one is written
    out. Source: Vaswani et al. 2017; Xiong et al. 2020 for the order of the normalisation.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """Build the layer.

        Args:
            width: width W of a token, a multiple of ``heads``.
            heads: number of attention heads.
            dropout: probability in [0, 1) of dropping a value.
        """
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.queries = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU())
        self.narrow = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, is_token: Tensor, *, wanted: int | None = None) -> Tensor:
        """Return new tokens, each of which attends to all tokens of its clip.

        Args:
            tokens: float32 (N, L, W), padded.
            is_token: bool (N, L), False for padding.
            wanted: number of first tokens to compute; None: all L.

        Returns:
            float32 (N, wanted, W).
        """
        clips, length, width = tokens.shape
        normed = self.norms[0](tokens)
        weights, biases = (
            torch.split(part, [width, 2 * width]) for part in self.queries.parameters()
        )
        tokens = tokens[:, :wanted]
        query = functional.linear(normed[:, :wanted], weights[0], biases[0])
        query = query.view(clips, tokens.shape[1], self.heads, -1).transpose(1, 2)
        both = functional.linear(normed, weights[1], biases[1])
        key, value = both.view(clips, length, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=is_token[:, None, None, :]
        )  # (N, heads, wanted, W / heads)
        merged = found.transpose(1, 2).reshape(tokens.shape)
        tokens = tokens + self.dropout(self.out(merged))
        changed: Tensor = tokens + self.dropout(self.narrow(self.wide(self.norms[1](tokens))))
        return changed


class CrossModal(Head):
    """One transformer over the tokens of all streams together.

    One more token is added, whose output is classified.
    An embedding of its stream and one of its position are added to each token. Tokens attend within
    and across streams; an absent stream has no tokens to attend to.
    Source: Tsai et al. 2019 (MulT, arXiv:1906.00295), with one transformer for all pairs of
    modalities as in the team's CrossFormer project.
    """

    stream_modules = "projections"
    renamed_weights: ClassVar[Mapping[str, str]] = {"place": "position"}
    Options = CrossModalOptions
    pools_apart = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: CrossModalOptions
    ) -> None:
        """Build a projection for each stream, embeddings, the transformer and the classifier."""
        super().__init__(dims, classes, options=options)
        self.longest = options.longest
        self.projections = nn.ModuleList(project(dim, options.width) for dim in dims.values())
        self.modality = nn.Parameter(0.02 * torch.randn(len(dims), options.width))
        self.position = nn.Parameter(0.02 * torch.randn(options.longest, options.width))
        self.read_out = nn.Parameter(0.02 * torch.randn(options.width))
        self.layers = nn.ModuleList(
            TransformerLayer(options.width, options.heads, options.dropout)
            for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.width)
        self.classifier = Classifier(options.width, options.width, classes, options.dropout)

    def pool(self, batch: Batch) -> Batch:
        """Shorten clips of more than ``longest`` tokens to means over windows."""
        streams = {name: shorten(batch.streams[name], self.longest) for name in self.streams}
        return replace(batch, streams=streams)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target."""
        streams = self.pool(batch).streams
        parts = [self.read_out.expand(len(batch), 1, -1)]
        masks = [torch.ones(len(batch), 1, dtype=torch.bool, device=self.read_out.device)]
        for number, name in enumerate(self.streams):
            padded, is_token = _padded(self._embedded(number, streams[name]))
            parts.append(padded.to(self.read_out.dtype))
            masks.append(is_token)
        tokens, is_token = torch.cat(parts, dim=1), torch.cat(masks, dim=1)
        for layer in self.layers[:-1]:
            tokens = layer(tokens, is_token)
        tokens = self.layers[-1](tokens, is_token, wanted=1)  # only the first token is read out
        logits: dict[str, Tensor] = self.classifier(self.norm(tokens[:, 0]))
        return logits

    def _embedded(self, number: int, tokens: Ragged) -> Ragged:
        """Return projected tokens of stream ``number`` with both embeddings: (ΣT, D) -> (ΣT, W)."""
        clips = segment_ids(tokens.offsets)
        position = torch.arange(len(clips), device=clips.device) - tokens.offsets[clips]
        values = self.projections[number](tokens.values) + self.modality[number]
        return Ragged(values + self.position[position], tokens.offsets)


def _padded(tokens: Ragged) -> tuple[Tensor, Tensor]:
    """Pad the clips with zeros to the longest T.

    Returns:
        float32 (N, longest T, W); and bool (N, longest T), False for padding.
    """
    longest = int(tokens.lengths.max()) if len(tokens) else 0
    is_token = torch.arange(longest, device=tokens.offsets.device) < tokens.lengths[:, None]
    padded = tokens.values.new_zeros(len(tokens), longest, tokens.width)
    padded[is_token] = tokens.values
    return padded, is_token
