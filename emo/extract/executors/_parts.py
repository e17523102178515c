"""Which parts a supervisor still has to do: all of a list, or those that it can claim."""

import time
from collections.abc import Sequence

from emo.extract.job.files.claims import Claims
from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import me
from emo.extract.job.missing import PartLooks

POLL_SECONDS = 5.0
"""Seconds between two looks at parts that other workers have claimed."""


class PartsToDo:
    """Parts of a list, in order; nobody else does them."""

    def __init__(self, parts: Sequence[int]) -> None:
        """Begin with ``parts``, of which the first is taken first."""
        self._waiting = list(reversed(parts))

    def __len__(self) -> int:
        """Return the number of parts that may be taken now."""
        return len(self._waiting)

    def is_over(self) -> bool:
        """Return whether no part is left, now and later."""
        return not self._waiting

    def take(self) -> int | None:
        """Take the next part; None: there is none now."""
        return self._waiting.pop() if self._waiting else None

    def put_back(self, part: int) -> None:
        """Hand out a part again, as the next one."""
        self._waiting.append(part)

    def finished(self, part: int) -> None:
        """Note that a part is done, or given up."""

    def clear(self) -> None:
        """Hand out no more parts."""
        self._waiting.clear()


class ClaimedParts(PartsToDo):
    """Parts of a job that several supervisors do together: each is claimed before it is taken.

    A part that another supervisor has is looked at again and again, until the store has all of its
    clips, or its owner is dead and the part can be claimed.
    """

    def __init__(self, folder: JobFolder, claims: Claims, parts: Sequence[int]) -> None:
        """Begin with ``parts``, in an order of this process's own."""
        first = sum(me().encode()) % max(1, len(parts))
        super().__init__([*parts[first:], *parts[:first]])
        self._claims, self._looks = claims, PartLooks(folder, POLL_SECONDS)
        self._ready: list[int] = []
        """Parts that are claimed and not handed out."""
        self._elsewhere: list[int] = []
        """Parts that another supervisor has claimed."""
        self._looked = time.monotonic()
        self.done: list[int] = []
        """Parts that this process finished."""

    def __len__(self) -> int:
        """Return the number of parts that may be taken now; look at those of others at times."""
        if not self._waiting and self._elsewhere:
            self._look_again()
        return len(self._ready) + len(self._waiting)

    def is_over(self) -> bool:
        """Return whether no part is left, here and elsewhere."""
        return not (self._ready or self._waiting or self._elsewhere)

    def take(self) -> int | None:
        """Take the next part that can be claimed."""
        while not self._ready and self._waiting:
            part = self._waiting.pop()
            if self._looks.is_missing(part):
                (self._ready if self._claims.take(part) else self._elsewhere).append(part)
        return self._ready.pop() if self._ready else None

    def put_back(self, part: int) -> None:
        """Hand out a part again; it stays claimed."""
        self._ready.append(part)

    def finished(self, part: int) -> None:
        """Keep the claim of a part for good."""
        self._claims.done(part)
        self.done.append(part)

    def clear(self) -> None:
        """Hand out no more parts."""
        self._waiting.clear()
        self._ready.clear()
        self._elsewhere.clear()

    def _look_again(self) -> None:
        """Claim those parts of others that are free now, and forget those that are done."""
        if time.monotonic() < self._looked + POLL_SECONDS:
            return
        self._looked = time.monotonic()
        missing = [part for part in self._elsewhere if self._looks.is_missing(part)]
        self._ready += [part for part in missing if self._claims.take(part)]
        self._elsewhere = [part for part in missing if part not in self._ready]
