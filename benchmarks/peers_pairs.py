"""Pairs of measurements for peers.py: the peer and ours in turns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spent import median, spent
from store import Figure, figure


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    pairs: int
    share: float
    """Of the clips, frames or seconds of a row."""
    clips: Path | None = None
    """A folder of media."""

    def of(self, count: int) -> int:
        return max(1, round(count * self.share))


def beside(
    name: str, theirs: Callable[[], object], ours: Callable[[], object], size: Size, goal: float,
    **more: float,
) -> Figure:  # fmt: skip
    """Once each to warm up, then in turns."""
    theirs(), ours()
    pairs = [(spent(theirs), spent(ours)) for _ in range(size.pairs)]
    walls = [peer.wall / own.wall for peer, own in pairs]
    return figure(
        name, median(walls), "of ours", goal, cpu=median([p.cpu / o.cpu for p, o in pairs]),
        low=min(walls), high=max(walls), our_seconds=median([own.wall for _, own in pairs]),
        pairs=size.pairs, **more,
    )  # fmt: skip
