"""The committed parts of one recipe: list them, open them, and see them as one set of clips."""

from collections.abc import Callable
from typing import TypeVar

from emo.errors import StoreError
from emo.store.backend.location import Location, file_names
from emo.store.backend.object_path import ObjectPath
from emo.store.backend.parallel import at_once
from emo.store.index.file import DamagedIndexError, index_paths, open_index
from emo.store.index.indexed import Indexed
from emo.store.index.merged import Merged
from emo.store.part.reader import Part
from emo.store.part.zip import DamagedPart, GoneError
from emo.store.recipe import Recipe

_V = TypeVar("_V")
_MOST_KNOWN_CLIPS = 2**15
"""Clips of opened parts from which :meth:`RecipeParts.forget` forgets them."""
_NONSENSE = (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError)
"""What numbers in an index that contradict each other can raise; the parts are read then."""


class RecipeParts:
    """The part files in the folder of one recipe, as they were at the last :meth:`refresh`.

    Parts are opened on demand, each once. :attr:`merged` is read from the recipe's index when it
    has a usable one, else from all parts.
    """

    def __init__(self, path: Location, recipe: Recipe) -> None:
        """List the parts in a folder.

        Args:
            path: folder of the recipe.
            recipe: the recipe, of which all parts must be.

        Raises:
            StoreError: the folder cannot be read.
        """
        self.path, self.recipe = path, recipe
        self.is_remote = isinstance(path, ObjectPath)
        self._fingerprint = recipe.fingerprint
        self._specs = recipe.stored_specs
        self._names: list[str] = []
        self._parts: dict[str, Part] = {}
        self._merged: Merged | Indexed | None = None
        self._may_use_index = True
        self.refresh()

    @property
    def paths(self) -> list[Location]:
        """The committed parts, in order of their names; none of them is opened."""
        return [self.path / name for name in self._names]

    def refresh(self) -> None:
        """List the folder again: parts committed or removed since the last time are noticed.

        Raises:
            StoreError: the folder cannot be read.
        """
        try:
            names = sorted(name for name in file_names(self.path) if _is_part(name))
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error.strerror}") from error
        if names != self._names:
            self._names, self._merged = names, None

    def reopen(self) -> None:
        """List the folder again, and look for an index again even if one failed before."""
        self._may_use_index, self._merged = True, None
        self.refresh()

    def open(self, path: Location) -> Part:
        """Return an opened part; it is opened once.

        Raises:
            StoreError: the part is damaged, gone, of another recipe, or its streams are not the
                recipe's.
        """
        part = self._parts.get(path.name)
        if part is None:
            part = Part(path)
            if part.fingerprint != self._fingerprint:
                what = f"it is of recipe {part.fingerprint}, not {self._fingerprint}"
                raise DamagedPart(path, what)
            if part.specs != self._specs:
                raise DamagedPart(path, self.recipe.other_streams(part.specs))
            part.specs, part.has_known_specs = self._specs, True
            self._parts[path.name] = part
        return part

    def forget(self) -> bool:
        """Forget the opened parts if they hold the ids of many clips; return whether they did."""
        if sum(len(part.clip_ids) for part in self._parts.values()) < _MOST_KNOWN_CLIPS:
            return False
        self._parts = {}
        return True

    @property
    def merged(self) -> Merged | Indexed:
        """The clips of all parts, from the index when there is a usable one, else from the parts.

        A new object after every change of the folder that :meth:`refresh` notices.
        """
        if self._merged is None:
            indexed = self._indexed()
            self._merged = self.merge() if indexed is None else indexed
        return self._merged

    def merge(self) -> Merged:
        """Read the clips of all parts from the parts themselves, without an index."""
        parts = at_once(self.is_remote, self.open, self.paths)
        self._parts = dict(zip(self._names, parts, strict=True))
        return Merged(parts)

    def ask(self, question: Callable[[Merged | Indexed], _V]) -> _V:
        """Return ``question(merged)``; repeat it when the index fails or parts are replaced.

        Raises:
            StoreError: whatever ``question`` raises when nothing has changed in the folder.
        """
        while True:
            try:
                return question(self.merged)
            except DamagedIndexError:
                self._may_use_index, self._merged = False, None
            except _NONSENSE:
                if not isinstance(self._merged, Indexed):
                    raise
                self._may_use_index, self._merged = False, None
            except GoneError:
                names = self._names
                self.refresh()  # `emo store compact` may have moved the clips to another part
                if names == self._names:
                    raise

    def _indexed(self) -> Indexed | None:
        """Return the clips as the newest usable index lists them; None: there is none."""
        for path in index_paths(self.path) if self._may_use_index else ():
            columns = open_index(path, self._fingerprint, set(self._names))
            if columns is not None:
                try:
                    return Indexed(columns, self._names, self.recipe.streams, self._open_named)
                except (DamagedIndexError, *_NONSENSE):
                    continue
        return None

    def _open_named(self, name: str) -> Part:
        return self.open(self.path / name)


def _is_part(name: str) -> bool:
    """Return whether a file name is that of a committed part."""
    return name.startswith("part-") and name.endswith(".zarr.zip")
