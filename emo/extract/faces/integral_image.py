"""Means over areas of frames, many sizes and crops from one table of sums.

Bit for bit what torch's ``interpolate(..., mode="area")`` gives on a CPU, which MTCNN wants of
every scale and candidate, in a third of its time: sums of whole numbers are exact in any order.
"""

import numpy as np
import torch

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
