"""The devices and processor cores that a worker may use on this machine."""

import ctypes
import os
import sys
from typing import TYPE_CHECKING

from emo.machine.libraries import late

if TYPE_CHECKING:
    import torch
else:
    torch = late("torch")  # 600 MB that planning, and models without it, can do without


def devices_of(device: str) -> list[str]:
    """Return the devices that ``--device`` means on this machine: every GPU, or the CPU.

    Args:
        device: ``auto`` (GPUs if there are any), ``cuda``, ``cpu``, or one device (``cuda:0``).

    >>> devices_of("cpu")
    ['cpu']
    """
    if device == "auto" and not _may_have_gpu():
        return ["cpu"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cuda":
        return [device]
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cuda"]


def _may_have_gpu() -> bool:
    """Return whether torch could find a GPU; False: there is no driver, and torch is not asked."""
    if "torch" in sys.modules or sys.platform != "linux" or os.path.exists("/dev/kfd"):
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def cores() -> int:
    """Return how many processor cores this process may use; in a Slurm task only the task's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
