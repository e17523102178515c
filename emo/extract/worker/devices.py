"""The devices and processor cores that a worker may use on this machine."""

import os

import torch


def devices_of(device: str) -> list[str]:
    """Return the devices that ``--device`` means on this machine: every GPU, or the CPU.

    Args:
        device: ``auto`` (GPUs if there are any), ``cuda``, ``cpu``, or one device (``cuda:0``).

    >>> devices_of("cpu")
    ['cpu']
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cuda":
        return [device]
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cuda"]


def cores() -> int:
    """Return how many processor cores this process may use; in a Slurm task only the task's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
