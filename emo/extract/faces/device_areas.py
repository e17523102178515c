"""Means over areas of frames as :mod:`emo.extract.faces.integral_image` has them, on a GPU.

The sums are the same whole numbers, so the means are the same bits.
"""

import numpy as np
import torch
from torch import Tensor

from emo.extract.faces.integral_image import edges
from emo.extract.models.device import DeviceCopies


class DeviceAreas:
    """The sums of all rectangles that start in the upper left corner of each frame."""

    def __init__(self, frames: np.ndarray, device: torch.device) -> None:
        """``frames``: (F, H, W, 3) uint8, in the processor's memory."""
        count, self.height, self.width, channels = frames.shape
        self._copies = DeviceCopies(device)
        pixels = self._copies.send(torch.from_numpy(np.ascontiguousarray(frames)))
        shape = (count, self.height + 1, self.width + 1, channels)
        # int32 may wrap around: what is read are differences, and those are right again
        self._sums = torch.zeros(shape, dtype=torch.int32, device=device)
        torch.cumsum(pixels.cumsum(1, dtype=torch.int32), 2, out=self._sums[:, 1:, 1:])

    def resized(self, height: int, width: int) -> Tensor:
        """(F, height, width, 3) float32."""
        tops, bottoms = map(self._sent, edges(self.height, height))
        lefts, rights = map(self._sent, edges(self.width, width))
        rows = self._sums[:, bottoms] - self._sums[:, tops]
        sums = rows[:, :, rights] - rows[:, :, lefts]
        return _means(sums, (bottoms - tops)[:, None, None], (rights - lefts)[:, None])

    def crops(self, frames: np.ndarray, boxes: np.ndarray, size: int) -> Tensor:
        """(K, size, size, 3) float32; the arguments as in :meth:`emo.extract.faces.integral_image.Areas.crops`."""
        corners = self._sent(boxes.astype(np.int64))
        x0, y0, x1, y1 = (column[:, None] for column in corners.unbind(1))
        steps = torch.arange(size, device=corners.device)
        tops, bottoms = _edges(y1 - y0, steps)
        lefts, rights = _edges(x1 - x0, steps)
        owner = self._sent(frames.astype(np.int64))[:, None, None]
        upper, lower = (y0 + tops)[:, :, None], (y0 + bottoms)[:, :, None]
        left, right = (x0 + lefts)[:, None], (x0 + rights)[:, None]
        sums = self._sums[owner, lower, right] - self._sums[owner, upper, right]
        sums -= self._sums[owner, lower, left]
        sums += self._sums[owner, upper, left]
        return _means(sums, (bottoms - tops)[:, :, None, None], (rights - lefts)[:, None, :, None])

    def _sent(self, numbers: np.ndarray) -> Tensor:
        return self._copies.send(torch.from_numpy(numbers))


def _edges(lengths: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`emo.extract.faces.integral_image.edges`, for (K, 1) lengths."""
    count = len(steps)
    return steps * lengths // count, -(-(steps + 1) * lengths // count)


def _means(sums: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    return sums.float().div_(heights.float()).div_(widths.float())
