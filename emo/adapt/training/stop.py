"""Stop all processes of an adaptation at the same step when one of them gets a signal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

NAMES = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")
"""Signals that end an adaptation after the current step; what this system lacks is left out."""


class StopFlag:
    """Whether any process was asked to stop."""

    def __init__(self) -> None:
        """Begin without a request."""
        self.signal_name = ""

    def raise_flag(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal; called by Python between two instructions.

        Raises:
            KeyboardInterrupt: it is the second SIGINT.
        """
        if number == signal.SIGINT and self.signal_name:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name

    def is_raised_anywhere(self, device: torch.device) -> bool:
        """Return whether any process was asked; every process must call this in each step."""
        return self._anywhere(device)

    def is_raised_after_all_came(self, device: torch.device) -> bool:
        """Wait until all processes are here; return whether any was asked to stop."""
        return self._anywhere(device)

    def _anywhere(self, device: torch.device) -> bool:
        is_raised = bool(self.signal_name)
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return is_raised
        flag = torch.tensor(int(is_raised), device=device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag.item())


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """Note signals inside the block instead of dying from them."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.signal(number, flag.raise_flag) for number in numbers}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
