"""Means over areas of frames, many sizes and crops from one table of sums.

Bit for bit what torch's ``interpolate(..., mode="area")`` gives on a CPU, which MTCNN wants of
every scale and candidate, in a third of its time: sums of whole numbers are exact in any order.
"""

import numpy as np
import torch
from torch import Tensor

from emo.extract.models.device import DeviceCopies

_BLOCK_ROWS = 16  # of a frame, that stay in the processor's cache


class Areas:
    """The sums of all rectangles that start in the upper left corner of each frame."""

    def __init__(self, frames: np.ndarray) -> None:
        """``frames``: (F, H, W, 3) uint8."""
        count, self.height, self.width, channels = frames.shape
        # int32 may wrap around: what is read are differences, and those are right again
        self._sums = np.empty((count, self.height + 1, self.width + 1, channels), np.int32)
        self._sums[:, 0] = 0
        block = np.zeros((_BLOCK_ROWS, self.width + 1, channels), np.int32)
        for frame, sums in zip(frames, self._sums, strict=True):
            for low in range(0, self.height, _BLOCK_ROWS):
                rows = frame[low : low + _BLOCK_ROWS]
                block[: len(rows), 1:] = rows
                target = torch.from_numpy(sums[low + 1 : low + 1 + len(rows)])
                torch.cumsum(torch.from_numpy(block[: len(rows)]), 1, out=target)
                for row in range(low, low + len(rows)):
                    np.add(sums[row], sums[row + 1], out=sums[row + 1])

    def resized(self, height: int, width: int) -> np.ndarray:
        """(F, height, width, 3) float32."""
        tops, bottoms = edges(self.height, height)
        lefts, rights = edges(self.width, width)
        rows = self._sums.take(bottoms, 1)
        rows -= self._sums.take(tops, 1)
        sums = rows.take(rights, 2)
        sums -= rows.take(lefts, 2)
        return _means(sums, (bottoms - tops)[:, None, None], (rights - lefts)[:, None])

    def crops(self, frames: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
        """(K, size, size, 3) float32.

        Args:
            frames: (K,) the frame that each crop is of.
            boxes: (K, 4) whole x0 y0 x1 y1, the end exclusive, inside the frame, not empty.
            size: pixels.
        """
        x0, y0, x1, y1 = boxes.T[:, :, None].astype(np.int64)
        tops, bottoms = edges(y1 - y0, size)
        lefts, rights = edges(x1 - x0, size)
        flat = self._sums.reshape(-1, self._sums.shape[-1])
        first = frames[:, None].astype(np.int64) * (self.height + 1)
        upper, lower = ((first + y0 + edge) * (self.width + 1) for edge in (tops, bottoms))
        left, right = x0 + lefts, x0 + rights
        sums = flat.take(lower[:, :, None] + right[:, None], 0)  # (K, size, size, 3)
        sums -= flat.take(upper[:, :, None] + right[:, None], 0)
        sums -= flat.take(lower[:, :, None] + left[:, None], 0)
        sums += flat.take(upper[:, :, None] + left[:, None], 0)
        return _means(sums, (bottoms - tops)[:, :, None, None], (rights - lefts)[:, None, :, None])


def edges(length: np.ndarray | int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (…, count) of the areas that ``length`` pixels are cut into; they overlap."""
    steps = np.arange(count)
    return steps * length // count, -(-(steps + 1) * length // count)


def _means(sums: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    means: np.ndarray = sums.astype(np.float32)
    means /= heights.astype(np.float32)
    means /= widths.astype(np.float32)  # not by their product: other last bits than torch's
    return means


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
        return _device_means(sums, (bottoms - tops)[:, None, None], (rights - lefts)[:, None])

    def crops(self, frames: np.ndarray, boxes: np.ndarray, size: int) -> Tensor:
        """Crops (K, size, size, 3) float32 on the device; arguments: see :meth:`Areas.crops`."""
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
        return _device_means(
            sums, (bottoms - tops)[:, :, None, None], (rights - lefts)[:, None, :, None]
        )

    def _sent(self, numbers: np.ndarray) -> Tensor:
        return self._copies.send(torch.from_numpy(numbers))


def _edges(lengths: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`emo.extract.faces.integral_image.edges`, for (K, 1) lengths."""
    count = len(steps)
    return steps * lengths // count, -(-(steps + 1) * lengths // count)


def _device_means(sums: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    return sums.float().div_(heights.float()).div_(widths.float())
