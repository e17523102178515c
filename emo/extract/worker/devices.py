"""TODO."""

import os

import torch


def devices_of(device: str) -> list[str]:
    """What ``--device`` means on this machine: each GPU by its name, or the CPU.

    >>> devices_of("cpu")
    ['cpu']
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cuda":
        return [device]
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cuda"]


def cores() -> int:
    """Processors this process may use (a Slurm task sees only its own)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
