"""Stop requests: signals after which a worker finishes its batch, commits and ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")  # Windows lacks the last two


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 into a stop request inside the ``with`` block.

    A second SIGINT raises KeyboardInterrupt. Outside the main thread no handlers are set, because
    signals do not arrive there.

    Yields:
        A function that returns whether a stop was requested.
    """
    stop = threading.Event()

    def request(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    numbers = [getattr(signal, name) for name in SIGNALS if name in signal.Signals.__members__]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield stop.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
