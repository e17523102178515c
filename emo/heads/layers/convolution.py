"""One-dimensional convolution and batch normalisation on Ragged tokens, without padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.layers.segments import segment_ids, segment_mean
from emo.ragged import Ragged


class RaggedConv(nn.Module):
    """Convolution along the tokens of each clip: Ragged (ΣT, D) -> Ragged (ΣT, channels).

    Tokens before the first and after the last of a clip count as zeros.
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
        values, offsets = tokens.values, tokens.offsets
        clips = segment_ids(offsets)
        steps = torch.arange(self.size, device=clips.device) - self.size // 2
        position = torch.arange(len(clips), device=clips.device)[:, None] + steps  # (ΣT, size)
        is_inside = (position >= offsets[clips][:, None]) & (position < offsets[clips + 1][:, None])
        beyond = torch.cat([values, values.new_zeros(1, values.shape[1])])
        windows = beyond[torch.where(is_inside, position, len(values))]  # (ΣT, size, D)
        return Ragged(self.linear(windows.flatten(1)), offsets)


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
