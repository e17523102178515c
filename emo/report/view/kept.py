"""Make bytes once for several requests, a few at a time, and keep the latest."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from emo.errors import EmoError

AT_ONCE = 2
"""Media that are decoded at once."""
MOST_KEPT_BYTES = 2**27
"""Bytes that are kept, 128 MiB."""


class BusyError(EmoError):
    """An error of a request that came while too many others waited; later it works."""


class KeptBytes:
    """Bytes by key, made when they are first asked for; those that were not used longest go."""

    def __init__(self, *, at_once: int = AT_ONCE, wait_seconds: float = 120.0) -> None:
        """Begin with nothing.

        Args:
            at_once: how many are made at the same time.
            wait_seconds: how long a request waits until others are made.
        """
        self._free = threading.BoundedSemaphore(at_once)
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()
        self._makers: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return the bytes of a key; two requests at once make them once.

        Raises:
            BusyError: others were not ready in time.
            EmoError: they cannot be made; the next request tries again.
        """
        with self._lock:
            maker = self._makers.setdefault(key, threading.Lock())
        with maker:
            with self._lock:
                if key in self._made:
                    self._made.move_to_end(key)
                    return self._made[key]
            if not self._free.acquire(timeout=self._wait_seconds):
                raise BusyError("other clips are being decoded; load this one again later")
            try:
                made = make()
            finally:
                self._free.release()
            self._keep(key, made)
            return made

    def _keep(self, key: Hashable, made: bytes) -> None:
        """Keep bytes, and drop old ones beyond the limit."""
        with self._lock:
            self._made[key] = made
            while sum(map(len, self._made.values())) > MOST_KEPT_BYTES and len(self._made) > 1:
                old, _ = self._made.popitem(last=False)
                self._makers.pop(old, None)
