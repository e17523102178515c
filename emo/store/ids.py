"""Clip ids that are counted before they are made: a million strings take a quarter of a second."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload


class LazyIds(Sequence[str]):
    """Clip ids of which the number is known; they are made when somebody looks at them."""

    def __init__(self, count: int, load: Callable[[], list[str]]) -> None:
        """``load`` makes the ``count`` ids."""
        self._count, self._load = count, load

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._load()[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._load()
