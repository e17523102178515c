"""Collections of known length whose items are made on demand: clip ids, opened parts, streams."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, overload

from emo.store.part.reader import Part


class LazyParts(Sequence[Part]):
    """Sequence of parts, of which each is opened when it is first used."""

    def __init__(self, names: Sequence[str], open_part: Callable[[str], Part]) -> None:
        """Take the file names of the parts, and the function that opens a part by its name."""
        self.names, self._open = names, open_part

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Part:  # type: ignore[override]
        return self._open(self.names[index])


class LazyIds(Sequence[str]):
    """Clip ids whose count is known; the list is built when an id is first read."""

    def __init__(self, count: int, load: Callable[[], list[str]]) -> None:
        """Take the number of ids, and the function that builds the list of them."""
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


_V = TypeVar("_V")


class LazyDict(Mapping[str, _V]):
    """A mapping whose values are built on first use, each once; building one may raise."""

    def __init__(self, makers: Mapping[str, Callable[[], _V]]) -> None:
        """Take a function for each key that builds its value."""
        self._makers = makers
        self._values: dict[str, _V] = {}

    def __getitem__(self, name: str) -> _V:
        if name not in self._values:
            self._values[name] = self._makers[name]()
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
