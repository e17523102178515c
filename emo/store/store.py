"""The store: a folder with one sub-folder a recipe; opens, creates and reads them."""

import json
import re
from collections.abc import Sequence
from typing import BinaryIO

from emo.errors import StoreError
from emo.plugins import unknown
from emo.ragged import Ragged
from emo.store.backend.commit import cannot_write, commit
from emo.store.backend.location import Location, location
from emo.store.backend.object_path import ObjectPath
from emo.store.recipe import RECIPE_FILE, Recipe
from emo.store.recipe_folder import RecipeFolder, read_recipe

__all__ = ["RecipeFolder", "Store"]


class Store:
    """Cached tokens of clips, by recipe.

    Example::

        store = Store("features/")
        tokens = store.read("classic/audio", store.ids("classic"))
        first = tokens[0]  # (T, D)
    """

    def __init__(self, path: Location | str, *, may_be_empty: bool = False) -> None:
        """Open a store.

        Args:
            path: its folder, or a URL such as ``s3://bucket/features``.
            may_be_empty: no recipe in a folder with other things in it is no error.

        Raises:
            StoreError: there is none.
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
        if not may_be_empty and not self.recipes and not _is_unfinished(self.path, inside):
            raise StoreError(
                f"{self.path} is no store: no folder in it holds a {RECIPE_FILE}. "
                "`emo extract` makes stores"
            )

    @classmethod
    def create(cls, path: Location | str) -> "Store":
        """Open a store, made when it does not exist.

        Raises:
            StoreError: the folder cannot be made.
        """
        path = location(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path} cannot be made a store: {error.strerror}") from error
        return cls(path, may_be_empty=True)  # another process may be adding the first recipe

    def add_recipe(self, name: str, recipe: Recipe) -> RecipeFolder:
        """The folder of ``recipe``, made when it does not exist.

        Several processes may add the same recipe at once.

        Raises:
            StoreError: another recipe has the name, the name is none, or nothing can be written.
        """
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise StoreError(f"recipe name {name!r}: expected letters, digits, '-', '_' and '.'")
        folder = self.path / name
        document = {**recipe.to_json(), "fingerprint": recipe.fingerprint}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"

        def write(file: BinaryIO) -> None:
            file.write(text.encode())

        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error
        if not (folder / RECIPE_FILE).exists():
            commit(folder, RECIPE_FILE, write)
        _compare(folder, read_recipe(folder), recipe)
        if name not in self.recipes:
            self.recipes[name] = RecipeFolder(folder)
        return self.recipes[name]

    def read(self, stream: str, ids: Sequence[str] | None = None) -> Ragged:
        """Tokens of ``recipe/stream``; see :meth:`RecipeFolder.read`."""
        recipe, slash, name = stream.partition("/")
        if not slash:
            raise StoreError(f"stream {stream!r}: expected RECIPE/STREAM, such as classic/audio")
        return self._recipe(recipe).read(name, ids)

    def ids(self, recipe: str) -> Sequence[str]:
        """Finished clips of a recipe, each once."""
        return self._recipe(recipe).ids

    def chosen(self, recipe: str | None) -> list[RecipeFolder]:
        """The folder of a recipe, or those of all.

        Raises:
            StoreError: there is none of this name.
        """
        return list(self.recipes.values()) if recipe is None else [self._recipe(recipe)]

    def _recipe(self, name: str) -> RecipeFolder:
        if name not in self.recipes:
            raise StoreError(f"{self.path}: {unknown('recipe', name, self.recipes)}")
        return self.recipes[name]


def _is_unfinished(store: Location, inside: Sequence[Location]) -> bool:
    """Empty, or left so by a process that was killed while it made its first recipe."""
    if isinstance(store, ObjectPath):
        return False  # a name below which there is nothing was never made a store
    return all(map(_holds_nothing, inside))


def _holds_nothing(folder: Location) -> bool:
    return folder.is_dir() and all(file.name.startswith(".tmp-") for file in folder.iterdir())


def _compare(folder: Location, ours: Recipe, asked: Recipe) -> None:
    differences = ours.differences(asked)
    if differences:
        raise StoreError(
            f"{folder} was built with recipe {ours.fingerprint}; this run asks for "
            f"{asked.fingerprint}: {'; '.join(differences)}. Repeat the options it was built with, "
            "or add --as NAME to keep both."
        )
