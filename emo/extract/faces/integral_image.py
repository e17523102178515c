"""Resize frames by area means, to many sizes and crops, from one integral image.

The results are bit-identical to torch's ``interpolate(..., mode="area")`` on a CPU, which MTCNN
uses for every scale and candidate, in a third of its time: sums of whole numbers are exact in any
order. Two exceptions: output size 1 x 1, where torch divides in another order, and areas of more
than 65,793 pixels (2**24 / 255), where torch's float32 sum is rounded and ours is not.
"""

import numpy as np
import torch
from torch import Tensor

from emo.extract.models.device import DeviceCopies

_BLOCK_ROWS = 16  # rows of a frame that fit in the processor's cache


class IntegralImage:
    """Integral images of several frames on the CPU.

    Each entry is the sum of all pixels above and to the left of it.
    """

    def __init__(self, frames: np.ndarray) -> None:
        """Sum up frames uint8 (F, H, W, 3) to int32 (F, H + 1, W + 1, 3)."""
        count, self.height, self.width, channels = frames.shape
        # int32 may wrap around, but only differences are read, and they are correct modulo 2**32
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
        """Return the frames resized to float32 (F, height, width, 3), in [0, 255]."""
        tops, bottoms = edges(self.height, height)
        lefts, rights = edges(self.width, width)
        rows = self._sums.take(bottoms, 1)
        rows -= self._sums.take(tops, 1)
        sums = rows.take(rights, 2)
        sums -= rows.take(lefts, 2)
        return _means(sums, (bottoms - tops)[:, None, None], (rights - lefts)[:, None])

    def crops(self, frames: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
        """Crop and resize K boxes of the frames.

        Args:
            frames: integers (K,), the index of the frame of each box.
            boxes: integers (K, 4), x0 y0 x1 y1 in pixels, end exclusive, inside the frame and not
                empty.
            size: height and width of the crops in pixels.

        Returns:
            float32 (K, size, size, 3), in [0, 255].
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
    """Return starts and ends (…, count) of the ``count`` areas that ``length`` pixels are cut into.

    Neighbouring areas share a pixel where ``length`` is no multiple of ``count``.
    """
    steps = np.arange(count)
    return steps * length // count, -(-(steps + 1) * length // count)


def _means(sums: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    means: np.ndarray = sums.astype(np.float32)
    means /= heights.astype(np.float32)
    means /= widths.astype(np.float32)  # division by the product would round differently from torch
    return means


class DeviceIntegralImage:
    """Integral images of several frames on a GPU; see :class:`IntegralImage`."""

    def __init__(self, frames: np.ndarray, device: torch.device) -> None:
        """Copy frames uint8 (F, H, W, 3) to ``device`` and sum them up there."""
        count, self.height, self.width, channels = frames.shape
        self._copies = DeviceCopies(device)
        pixels = self._copies.send(torch.from_numpy(np.ascontiguousarray(frames)))
        shape = (count, self.height + 1, self.width + 1, channels)
        # int32 may wrap around, but only differences are read, and they are correct modulo 2**32
        self._sums = torch.zeros(shape, dtype=torch.int32, device=device)
        torch.cumsum(pixels.cumsum(1, dtype=torch.int32), 2, out=self._sums[:, 1:, 1:])

    def resized(self, height: int, width: int) -> Tensor:
        """Return the frames resized to float32 (F, height, width, 3) on the device."""
        tops, bottoms = map(self._sent, edges(self.height, height))
        lefts, rights = map(self._sent, edges(self.width, width))
        rows = self._sums[:, bottoms] - self._sums[:, tops]
        sums = rows[:, :, rights] - rows[:, :, lefts]
        return _device_means(sums, (bottoms - tops)[:, None, None], (rights - lefts)[:, None])

    def crops(self, frames: np.ndarray, boxes: np.ndarray, size: int) -> Tensor:
        """Crop and resize K boxes to float32 (K, size, size, 3) on the device.

        The arguments are those of :meth:`IntegralImage.crops`.
        """
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
    """Return starts and ends (K, count) of the areas that lengths (K, 1) are cut into.

    ``steps`` is 0, 1, … count - 1; see :func:`edges`.
    """
    count = len(steps)
    return steps * lengths // count, -(-(steps + 1) * lengths // count)


def _device_means(sums: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    return sums.float().div_(heights.float()).div_(widths.float())
