"""Stop requests: signals that ask a worker to finish the batch in hand, commit and leave."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")  # Windows lacks the last two


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """While open, SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 ask for a stop; yields the question.

    A second SIGINT interrupts at once. Outside the main thread no signal arrives and none is set.
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
