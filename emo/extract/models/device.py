"""Copies between the processor's memory and a device's, which on CUDA nobody waits for."""

import torch
from torch import Tensor


class DeviceCopies:
    """To one device and back.

    On CUDA the rows of the next batch are pinned and on their way while the device is still at
    the last one, and results come back in the same manner; so they may be read only after
    :meth:`wait`. On a CPU nothing is copied and nothing waits.
    """

    def __init__(self, device: torch.device) -> None:
        """``device``: where the model is."""
        self._device = device
        self._is_cuda = device.type == "cuda"

    def send(self, rows: Tensor) -> Tensor:
        """The rows on the device."""
        if self._is_cuda:
            rows = rows.pin_memory()
        return rows.to(self._device, non_blocking=self._is_cuda)

    def fetch(self, result: Tensor) -> Tensor:
        """A result in float32 in the processor's memory, there after :meth:`wait`."""
        if not self._is_cuda:
            return result.float().cpu()
        there = torch.empty(result.shape, dtype=torch.float32, pin_memory=True)
        return there.copy_(result.float(), non_blocking=True)

    def wait(self) -> None:
        """Until everything that was sent and fetched is there."""
        if self._is_cuda:
            torch.cuda.current_stream(self._device).synchronize()


class BrokenDevice(Exception):
    """No clip's failure: the worker ends, and another does what it had in hand."""


def is_broken(error: Exception) -> bool:
    """Whether nothing can be done on the device any more, as far as the error tells.

    >>> is_broken(RuntimeError("CUDA error: an illegal memory access was encountered"))
    True
    >>> is_broken(RuntimeError("the model stumbled"))
    False
    """
    kind = getattr(torch, "AcceleratorError", ())  # torch 2.7 and older raise RuntimeError
    return isinstance(error, kind) or (
        isinstance(error, RuntimeError) and str(error).startswith("CUDA error")
    )
