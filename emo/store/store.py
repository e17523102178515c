"""Open, create and read a store: a folder with a sub-folder for each recipe."""

import json
import re
from collections.abc import Sequence
from typing import BinaryIO

from emo.errors import StoreError
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.adapted import NOTHING_SEEN, SEEN_FILE, SeenClips
from emo.store.backend.commit import cannot_write, commit
from emo.store.backend.location import Location, location
from emo.store.backend.object_path import ObjectPath
from emo.store.recipe import RECIPE_FILE, Recipe
from emo.store.recipe_folder import RecipeFolder

__all__ = ["RecipeFolder", "Store"]


class Store:
    """The cached tokens of clips, grouped by the recipe that made them.

    Example::

        store = Store("features/")
        tokens = store.read("classic/audio", store.ids("classic"))
        first = tokens[0]  # (T, D)
    """

    def __init__(self, path: Location | str, *, may_be_empty: bool = False) -> None:
        """Open a store.

        Args:
            path: the store's folder, or a URL such as ``s3://bucket/features``.
            may_be_empty: accept a folder that holds other things but no recipe.

        Raises:
            StoreError: there is no store at ``path``.
        """
        self.path = location(path)
        try:
            inside: list[Location] = sorted(self.path.iterdir(), key=str)
        except OSError as error:
            raise StoreError(
                f"{self.path} is no store ({error.strerror}); `emo extract --out {self.path}` "
                "makes one"
            ) from error
        self.recipes: dict[str, RecipeFolder] = {
            folder.name: RecipeFolder(folder)
            for folder in inside
            if (folder / RECIPE_FILE).is_file() and not folder.name.startswith(".")
        }
        """Name of each recipe -> folder of the recipe."""
        if not may_be_empty and not self.recipes and not _is_unfinished(self.path, inside):
            raise StoreError(
                f"{self.path} is no store: no folder in it holds a {RECIPE_FILE}. "
                "`emo extract` makes stores"
            )

    @classmethod
    def create(cls, path: Location | str) -> "Store":
        """Open a store; make its folder if it does not exist.

        Raises:
            StoreError: the folder cannot be made.
        """
        path = location(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be made a store: {error.strerror}") from error
        return cls(path, may_be_empty=True)  # another process may be adding the first recipe

    def add_recipe(
        self, name: str, recipe: Recipe, *, seen: SeenClips = NOTHING_SEEN
    ) -> RecipeFolder:
        """Return the folder of a recipe; make it if it does not exist.

        Several processes may add the same recipe at the same time.

        Args:
            name: name of the recipe in the store.
            recipe: the recipe.
            seen: clips that the recipe's weights were adapted on, which are kept beside it.

        Raises:
            StoreError: another recipe has the name, the name is invalid, or the folder cannot be
                written.
        """
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise StoreError(f"recipe name {name!r}: expected letters, digits, '-', '_' and '.'")
        folder = self.path / name
        document = {**recipe.to_json(), "fingerprint": recipe.fingerprint}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"

        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        if seen:  # first, so that no reader finds the recipe without its list
            data = seen.to_bytes()
            commit(folder, seen.file_name, lambda file: _write(file, data))
        if not (folder / RECIPE_FILE).exists():
            commit(folder, RECIPE_FILE, lambda file: _write(file, text.encode()))
        _compare(RecipeFolder(folder), recipe)
        if name not in self.recipes:
            self.recipes[name] = RecipeFolder(folder)
        return self.recipes[name]

    def read(self, stream: str, ids: Sequence[str] | None = None) -> Ragged:
        """Read the tokens of a stream of a recipe.

        Args:
            stream: ``RECIPE/STREAM``, such as ``classic/audio``.
            ids: clips in the wanted order; None: all finished clips in the order of :meth:`ids`.

        Returns:
            values (ΣT, D) in the stored dtype and offsets int64 (N+1,); a clip without this stream
            has length 0.

        Raises:
            StoreError: an unknown recipe, stream or clip, or a damaged part.
        """
        recipe, slash, name = stream.partition("/")
        if not slash:
            raise StoreError(f"stream {stream!r}: expected RECIPE/STREAM, such as classic/audio")
        return self._recipe(recipe).read(name, ids)

    def ids(self, recipe: str) -> Sequence[str]:
        """Return the ids of the finished clips of a recipe, each once."""
        return self._recipe(recipe).ids

    def chosen(self, recipe: str | None) -> list[RecipeFolder]:
        """Return the folder of one recipe, or of all recipes for None.

        Raises:
            StoreError: there is no recipe of this name.
        """
        return list(self.recipes.values()) if recipe is None else [self._recipe(recipe)]

    def _recipe(self, name: str) -> RecipeFolder:
        if name not in self.recipes:
            raise StoreError(f"{self.path}: {unknown('recipe', name, self.recipes)}")
        return self.recipes[name]


def _is_unfinished(store: Location, inside: Sequence[Location]) -> bool:
    """Return whether the store is empty or was left so by a process killed in its first recipe."""
    if isinstance(store, ObjectPath):
        return False  # buckets have no empty folders: there is nothing at all
    return all(map(_holds_nothing, inside))


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _holds_nothing(folder: Location) -> bool:
    """Return whether a folder holds nothing but what is written before a recipe."""
    return folder.is_dir() and all(
        file.name.startswith(".tmp-") or re.fullmatch(SEEN_FILE, file.name)
        for file in folder.iterdir()
    )


def _compare(folder: RecipeFolder, wanted: Recipe) -> None:
    """Raise StoreError unless the stored recipe is the wanted one."""
    stored = folder.recipe
    if words := stored.other_version(wanted):
        made_by = folder.versions.get("emo")
        if stored.is_own_code:
            raise StoreError(
                f"{folder.path}: its tokens are {words}. Add --as NAME to extract the clips into a "
                "recipe of their own, or take the file that made it."
            )
        raise StoreError(
            f"{folder.path} was made by emo {made_by or 'of another version'}: its tokens are "
            f"{words}. Add --as NAME to extract the clips into a recipe of their own, or go on "
            f"with {f'emo {made_by}' if made_by else 'the emo that made it'}."
        )
    if differences := stored.differences(wanted):
        raise StoreError(
            f"{folder.path} was built with recipe {stored.fingerprint}; this run asks for "
            f"{wanted.fingerprint}: {'; '.join(differences)}. Repeat the options it was built "
            "with, or add --as NAME to keep both."
        )
    stored.warn_if_edited(folder.code, wanted.facts.get("code"), folder.path.name)
