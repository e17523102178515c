"""The Q-Former of BLIP-2: a transformer whose learned queries read tokens.

Source: Li et al. 2023 (arXiv:2301.12597).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from emo.extract.networks.imagebind.network import count_layers

_HEAD = 64  # width of an attention head


@dataclass(frozen=True)
class QFormerSizes:
    """Sizes of a Q-Former."""

    queries: int
    """Number of learned queries, which is the number of output tokens."""
    width: int
    """Width of the output tokens."""
    layers: int
    """Number of layers."""
    heads: int
    """Attention heads of a layer."""
    hidden: int
    """Width inside the MLP of a layer."""
    memory: int
    """Width of the input tokens."""
    frequency: int
    """Cross-attention to the input tokens is in every layer whose index is a multiple of this."""

    @classmethod
    def of(
        cls, tensors: Mapping[str, Tensor], prefix: str, frequency: int, config: Mapping[str, Any]
    ) -> Self:
        """Read the sizes from the shapes of the checkpoint's tensors.

        Args:
            tensors: tensors by their original names.
            prefix: ``""``, ``"video_"`` or ``"audio_"``.
            frequency: layers from one cross-attention to the next.
            config: sizes that shapes do not tell, for models unlike the published one.
        """
        queries, width = tensors[f"{prefix}query_tokens"].shape[1:]
        layers = f"{prefix}Qformer.bert.encoder.layer."
        return cls(
            queries=queries,
            width=width,
            layers=config.get("num_hidden_layers", count_layers(tensors, layers)),
            heads=config.get("num_attention_heads", width // _HEAD),
            hidden=len(tensors[f"{layers}0.intermediate_query.dense.weight"]),
            memory=tensors[f"{layers}0.crossattention.self.key.weight"].shape[1],
            frequency=config.get("cross_attention_freq", frequency),
        )


class QFormer(nn.Module):
    """Transformer whose learned queries read tokens: (n, T, memory) -> (n, queries, width)."""

    def __init__(self, sizes: QFormerSizes) -> None:
        """Build the Q-Former with random weights."""
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
        """Read the tokens (n, T, memory), without masks: (n, queries, width)."""
        queries = self.queries.expand(len(memory), -1, -1)
        read: Tensor = self.bert(
            query_embeds=queries, encoder_hidden_states=memory
        ).last_hidden_state
        return read
