"""A mapping whose values are made on demand: streams that nobody asks for are not looked at."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

V = TypeVar("V")


class LazyDict(Mapping[str, V]):
    """Values that are made on demand, each once; making one may raise."""

    def __init__(self, makers: Mapping[str, Callable[[], V]]) -> None:
        """What makes each."""
        self._makers = makers
        self._values: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        if name not in self._values:
            self._values[name] = self._makers[name]()
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
