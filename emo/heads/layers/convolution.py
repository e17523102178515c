"""One-dimensional convolution and batch normalisation on Ragged tokens, with no padding."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from emo.heads.layers.segments import segment_ids, segment_mean
from emo.ragged import Ragged


class RaggedConv(nn.Module):
    """Convolution along each clip's tokens, zeros beyond its ends: (ΣT, D) -> (ΣT, channels)."""

    def __init__(self, dim: int, channels: int, size: int) -> None:
        """D, channels made, tokens that one of them reads (odd)."""
        super().__init__()
        self.size = size
        self.linear = nn.Linear(dim * size, channels, bias=False)  # a norm follows

    def forward(self, tokens: Ragged) -> Ragged:
        """The same offsets."""
        values, offsets = tokens.values, tokens.offsets
        clips = segment_ids(offsets)
        steps = torch.arange(self.size, device=clips.device) - self.size // 2
        position = torch.arange(len(clips), device=clips.device)[:, None] + steps  # (ΣT, size)
        is_inside = (position >= offsets[clips][:, None]) & (position < offsets[clips + 1][:, None])
        beyond = torch.cat([values, values.new_zeros(1, values.shape[1])])
        windows = beyond[torch.where(is_inside, position, len(values))]  # (ΣT, size, D)
        return Ragged(self.linear(windows.flatten(1)), offsets)


class TokenNorm(nn.Module):
    """Batch normalisation over tokens; a batch of one token is normalised as in evaluation."""

    def __init__(self, width: int) -> None:
        """D of a token."""
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, values: Tensor) -> Tensor:
        """(ΣT, D) -> (ΣT, D)."""
        norm = self.norm
        if len(values) > 1:
            found: Tensor = norm(values)
            return found
        return functional.batch_norm(
            values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )


class ImageNorm(nn.BatchNorm2d):
    """The same over pictures: (N, C, H, W); one single value a channel has no spread, either."""

    def forward(self, input: Tensor) -> Tensor:
        """The same shape."""
        if input.numel() > input.shape[1]:
            return super().forward(input)
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class SqueezeExcite(nn.Module):
    """Scales each channel by what the whole clip holds of all. Source: Hu et al. 2018."""

    def __init__(self, channels: int, reduction: int = 8) -> None:
        """Channels, and how many times fewer there are in between."""
        super().__init__()
        narrow = max(channels // reduction, 1)
        self.layers = nn.Sequential(
            nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid()
        )

    def forward(self, tokens: Ragged) -> Ragged:
        """The same offsets."""
        factors = self.layers(segment_mean(tokens.values, tokens.offsets))  # (N, channels)
        return Ragged(tokens.values * factors[segment_ids(tokens.offsets)], tokens.offsets)
