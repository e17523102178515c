"""Sequences whose length is known before what is in them: ids are made, parts opened, on demand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, overload

from emo.store.part.reader import Part


class LazyParts(Sequence[Part]):
    """Parts that are opened when they are asked for."""

    def __init__(self, names: Sequence[str], open_part: Callable[[str], Part]) -> None:
        """Open each of ``names`` by ``open_part``."""
        self.names, self._open = names, open_part

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Part:  # type: ignore[override]
        return self._open(self.names[index])


class LazyIds(Sequence[str]):
    """Clip ids of which the number is known; they are made when somebody looks at them."""

    def __init__(self, count: int, load: Callable[[], list[str]]) -> None:
        """``load`` makes the ``count`` ids."""
        self._count, self._load = count, load

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._load()[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._load()


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
