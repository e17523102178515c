"""Which worker does which part: claims that expire when their owner shows no sign of life.

The claims of a part are a row of numbered files, of which the last one counts. Each is created on
the condition that its number is free, so that of two workers one gets it. A worker that finds the
owner of the last claim dead creates the next one. A part that is done twice is harmless: the second
commit of a part is dropped.
"""

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from emo.errors import StoreError
from emo.extract.job.files.files_of import files_of
from emo.extract.job.journal import FRESH_SECONDS, is_at_work, log_name, me
from emo.extract.job.logs import BEAT_SECONDS
from emo.store.backend.location import Location

CLAIMS = "claims"
"""Folder of the claims in the job folder."""


class Claims:
    """The claims of this process; they are given back when the block ends."""

    def __init__(self, job: Location) -> None:
        """Claim parts of the job folder ``job``."""
        self._folder = job / CLAIMS
        self._files = files_of(self._folder)
        self._held: dict[int, int] = {}
        """Part -> number of this process's claim."""
        self._is_closed = threading.Event()

    def __enter__(self) -> Self:
        """Show that this process is alive, now and regularly.

        Raises:
            StoreError: the job folder cannot be written.
        """
        self._files.touch(log_name(me()))
        threading.Thread(target=self._stay_fresh, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give back the parts that are not done."""
        self._is_closed.set()
        for part in list(self._held):
            self._files.unclaim(_name(part), self._held.pop(part))
        self._files.remove(log_name(me()))

    def take(self, part: int) -> bool:
        """Claim a part; return whether it is this process's now.

        Raises:
            StoreError: the job folder cannot be written.
        """
        if part in self._held:
            return True
        name = _name(part)
        number = 0
        if not self._claim(name, number):
            claims = self._files.claims(name)
            number = max(claims, default=-1) + 1
            owner = claims[number - 1].decode(errors="replace") if claims else ""
            if owner == me():  # the answer to our first request was lost
                self._held[part] = number - 1
                return True
            if is_at_work(self._folder, owner) or not self._claim(name, number):
                return False
        self._held[part] = number
        return True

    def done(self, part: int) -> None:
        """Keep a claim for good: the part is committed, or cannot be done."""
        self._held.pop(part, None)

    def _claim(self, name: str, number: int) -> bool:
        return self._files.claim(name, number, me().encode())

    def _stay_fresh(self) -> None:
        while not self._is_closed.wait(BEAT_SECONDS):
            with suppress(OSError, StoreError):  # claims may expire; a part is then done twice
                self._files.touch(log_name(me()))


def live_workers(job: Location) -> int:
    """Return how many processes that claim parts of a job have shown that they are alive."""
    return len(files_of(job / CLAIMS).alive(FRESH_SECONDS))


def _name(part: int) -> str:
    return f"{part:06}"
