"""Copy tensors to a device and back without blocking, and recognise a device that broke."""

import sys
from typing import TYPE_CHECKING

from emo.machine.libraries import late

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = late("torch")  # 600 MB that planning, and models without it, can do without


class DeviceCopies:
    """Copies between the CPU and one device.

    On CUDA the copies are asynchronous, through pinned memory: the next batch is sent while the
    device works on the last one. Fetched results may be read only after :meth:`wait`. On a CPU
    nothing is copied.
    """

    def __init__(self, device: "torch.device") -> None:
        """Copy to and from ``device``, where the model is."""
        self._device = device
        self._is_cuda = device.type == "cuda"

    def send(self, rows: "Tensor") -> "Tensor":
        """Copy rows (n, …) to the device."""
        if self._is_cuda:
            rows = rows.pin_memory()
        return rows.to(self._device, non_blocking=self._is_cuda)

    def fetch(self, result: "Tensor") -> "Tensor":
        """Copy a result (n, …) to the CPU as float32; it may be read after :meth:`wait`."""
        if not self._is_cuda:
            return result.float().cpu()
        there = torch.empty(result.shape, dtype=torch.float32, pin_memory=True)
        return there.copy_(result.float(), non_blocking=True)

    def wait(self) -> None:
        """Wait until all copies are complete."""
        if self._is_cuda:
            torch.cuda.current_stream(self._device).synchronize()


class BrokenDevice(Exception):
    """The device can do no more work; no clip is to blame.

    The worker ends, and another worker continues with its clips.
    """


def is_out_of_memory(result: object) -> bool:
    """Return whether a result is torch's error for a device without free memory."""
    return isinstance(result, Exception) and (
        "torch" in sys.modules and isinstance(result, torch.OutOfMemoryError)
    )


def is_broken(error: Exception) -> bool:
    """Return whether an error says that the device can do no more work.

    >>> is_broken(RuntimeError("CUDA error: an illegal memory access was encountered"))
    True
    >>> is_broken(RuntimeError("shapes do not match"))
    False
    """
    if "torch" not in sys.modules:
        return False
    kind = getattr(torch, "AcceleratorError", ())  # torch 2.7 and older raise RuntimeError
    return isinstance(error, kind) or (
        isinstance(error, RuntimeError) and str(error).startswith("CUDA error")
    )
