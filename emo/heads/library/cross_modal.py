"""Run one transformer over the tokens of all streams together; absent streams are masked."""

from collections.abc import Mapping, Sequence
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
            "range": (0, 1),
            "help": "Dropout in the layers and before the logits, in [0, 1).",
        },
    )

    def __post_init__(self) -> None:
        if self.longest < 1 or self.layers < 1 or self.width % self.heads:
            raise ValueError(
                f"expected longest and layers >= 1 and width a multiple of heads, got {self}"
            )


class TransformerLayer(nn.Module):
    """Transformer layer with normalisation first: (ΣL, W) tokens -> (ΣL, W).

    Padding takes part in the attention alone, where it is masked. torch's own layer takes another
    code path when no gradients are needed, so this one is written out.
    Source: Vaswani et al. 2017; Xiong et al. 2020 for the order of the normalisation.
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

    def forward(
        self, tokens: Tensor, layout: "TokenLayout", *, wanted: int | None = None
    ) -> Tensor:
        """Return new tokens, each of which attends to all tokens of its clip.

        Args:
            tokens: float32 (ΣL, W), without padding.
            layout: which of them belong to which clip.
            wanted: number of first tokens to compute, N or None; N: the first of each clip; None:
                all.

        Returns:
            float32 (wanted, W).
        """
        width = tokens.shape[1]
        normed = self.norms[0](tokens)
        weights, biases = (
            torch.split(part, [width, 2 * width]) for part in self.queries.parameters()
        )
        tokens = tokens[:wanted]
        query = functional.linear(normed[:wanted], weights[0], biases[0])
        both = layout.padded(functional.linear(normed, weights[1], biases[1]))  # (N, L, 2 W)
        query = layout.padded(query) if wanted is None else query[:, None]
        query = query.view(*query.shape[:2], self.heads, -1).transpose(1, 2)
        key, value = both.view(*both.shape[:2], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=layout.is_token[:, None, None, :]
        )  # (N, heads, L or 1, W / heads)
        merged = found.transpose(1, 2).reshape(-1, width)
        if wanted is None:
            merged = merged.index_select(0, layout.positions)
        tokens = tokens + self.dropout(self.out(merged))
        changed: Tensor = tokens + self.dropout(self.narrow(self.wide(self.norms[1](tokens))))
        return changed


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of N clips are if each clip is padded to L tokens."""

    positions: Tensor
    """int64 (ΣL,): row of each token in (N · L, W)."""
    is_token: Tensor
    """bool (N, L): False for padding."""

    @classmethod
    def of(cls, streams: Sequence[Ragged]) -> "TokenLayout":
        """Put a read-out token before the tokens of all streams of a clip, stream after stream.

        The N read-out tokens come first in ``positions``, then the tokens of each stream.
        """
        lengths = 1 + sum(tokens.lengths for tokens in streams)
        longest = int(lengths.max()) if len(lengths) else 1
        steps = torch.arange(longest, device=lengths.device)
        next_position = torch.arange(len(lengths), device=lengths.device) * longest
        positions = [next_position]
        next_position = next_position + 1
        for tokens in streams:
            own = _positions(tokens.offsets)
            positions.append(own + next_position[segment_ids(tokens.offsets)])
            next_position = next_position + tokens.lengths
        return cls(torch.cat(positions), steps < lengths[:, None])

    def padded(self, values: Tensor) -> Tensor:
        """Pad the tokens of each clip with zeros: (ΣL, W) -> (N, L, W)."""
        clips, longest = self.is_token.shape
        zeros = values.new_zeros(clips * longest, values.shape[1])
        return zeros.index_copy_(0, self.positions, values).view(clips, longest, -1)


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
        pooled = self.pool(batch).streams
        streams = [pooled[name] for name in self.streams]
        layout = TokenLayout.of(streams)
        found = [self._embedded(number, tokens) for number, tokens in enumerate(streams)]
        read_outs = self.read_out.expand(len(batch), -1)
        tokens = torch.cat([read_outs, *(values.to(self.read_out.dtype) for values in found)])
        for layer in self.layers[:-1]:
            tokens = layer(tokens, layout)
        tokens = self.layers[-1](tokens, layout, wanted=len(batch))  # these are read out
        logits: dict[str, Tensor] = self.classifier(self.norm(tokens))
        return logits

    def _embedded(self, number: int, tokens: Ragged) -> Tensor:
        """Return projected tokens of stream ``number`` with both embeddings: (ΣT, D) -> (ΣT, W)."""
        values = self.projections[number](tokens.values) + self.modality[number]
        found: Tensor = values + self.position.index_select(0, _positions(tokens.offsets))
        return found


def _positions(offsets: Tensor) -> Tensor:
    """Return the number of tokens before each token in its clip: int64 (N+1,) -> (ΣT,)."""
    clips = segment_ids(offsets)
    return torch.arange(len(clips), device=clips.device) - offsets[clips]
