"""One-dimensional convolution and batch normalisation on Ragged tokens, without padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.layers.segments import segment_ids, segment_mean
from emo.ragged import Ragged

ROUND = 64
"""Lengths of images are multiples of it: torch prepares a convolution anew for each length."""
FEWEST_TOKENS, MOST_ZEROS = 256, 1.5
"""With fewer tokens, or more columns for each token, a convolution of an image takes longer than a
product with copies of all windows."""


class RaggedConv(nn.Module):
    """Convolution along the tokens of each clip: Ragged (ΣT, D) -> Ragged (ΣT, channels).

    Tokens before the first and after the last of a clip count as zeros. Many tokens are convolved
    as one image of one row, in which there are ``size // 2`` zeros between two clips.
    """

    def __init__(self, dim: int, channels: int, size: int) -> None:
        """Build the layer.

        Args:
            dim: width D of a token.
            channels: width of an output token.
            size: number of tokens that each output token is computed from, odd.
        """
        super().__init__()
        self.size = size
        self.linear = nn.Linear(dim * size, channels, bias=False)  # a normalisation follows

    def forward(self, tokens: Ragged) -> Ragged:
        """Return tokens, float32 (ΣT, channels), with the offsets of the given ones."""
        count, apart = len(tokens.values), self.size // 2
        positions = torch.arange(apart, count + apart, device=tokens.values.device)
        positions += segment_ids(tokens.offsets) * apart
        length = count + (len(tokens) + 1) * apart
        is_short = count < FEWEST_TOKENS or length > MOST_ZEROS * count
        found = (self._windows if is_short else self._image)(tokens.values, positions, length)
        return Ragged(found, tokens.offsets)

    def _image(self, values: Tensor, positions: Tensor, length: int) -> Tensor:
        """Convolve one image of one row: (ΣT, D) -> (ΣT, channels).

        Args:
            values: float32 (ΣT, D).
            positions: int64 (ΣT,), column of each token.
            length: number of columns.
        """
        length, width = -(-length // ROUND) * ROUND, values.shape[1]
        row = values.new_zeros(length, width).index_copy_(0, positions, values)
        weight = self.linear.weight.view(-1, 1, self.size, width)
        found = functional.conv2d(  # (1, channels, 1, length - size + 1), channels last in memory
            row.view(1, 1, length, width).permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2)
        )
        channels = found.permute(0, 2, 3, 1).flatten(0, 2)
        return channels.index_select(0, positions - self.size // 2)

    def _windows(self, values: Tensor, positions: Tensor, length: int) -> Tensor:
        """Return what :meth:`_image` does, by a product with a copy of each token's window."""
        rows = torch.full((length,), len(values), device=positions.device)
        rows[positions] = torch.arange(len(values), device=positions.device)
        steps = torch.arange(self.size, device=positions.device) - self.size // 2
        windows = rows[positions[:, None] + steps]  # (ΣT, size)
        beyond = torch.cat([values, values.new_zeros(1, values.shape[1])])
        copies = beyond.index_select(0, windows.flatten())
        found: Tensor = self.linear(copies.view(len(values), self.linear.in_features))
        return found


class TokenNorm(nn.Module):
    """Batch normalisation over tokens: (ΣT, D) -> (ΣT, D).

    A batch of a single token has no variance, and is normalised as in evaluation.
    """

    def __init__(self, width: int) -> None:
        """Build the layer for tokens of width D."""
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, values: Tensor) -> Tensor:
        """Return normalised values, float32 (ΣT, D)."""
        norm = self.norm
        if len(values) > 1:
            found: Tensor = norm(values)
            return found
        return functional.batch_norm(
            values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )


class ImageNorm(nn.BatchNorm2d):
    """Batch normalisation over images: (N, C, H, W) -> (N, C, H, W).

    A single value in each channel has no variance, and is normalised as in evaluation.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return normalised images, float32 (N, C, H, W)."""
        if input.numel() > input.shape[1]:
            return super().forward(input)
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class SqueezeExcite(nn.Module):
    """Squeeze-and-excite: scale each channel by a factor computed from the clip's mean token.

    Source: Hu et al. 2018.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        """Build the layer.

        Args:
            channels: width of a token, in and out.
            reduction: the bottleneck has ``channels / reduction`` channels, at least one.
        """
        super().__init__()
        narrow = max(channels // reduction, 1)
        self.layers = nn.Sequential(
            nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid()
        )

    def forward(self, tokens: Ragged) -> Ragged:
        """Return tokens, float32 (ΣT, channels), with the offsets of the given ones."""
        factors = self.layers(segment_mean(tokens.values, tokens.offsets))  # (N, channels)
        return Ragged(tokens.values * factors[segment_ids(tokens.offsets)], tokens.offsets)
