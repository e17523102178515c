"""Make the index of a recipe from its parts, and check whether there is a usable one."""

from dataclasses import dataclass

from emo.errors import plural
from emo.store.backend.location import Location
from emo.store.index.file import index_paths, open_index, write_index
from emo.store.index.table import index_columns
from emo.store.recipe_folder import RecipeFolder


@dataclass(frozen=True)
class IndexReport:
    """Result of making an index."""

    recipe: str
    """Name of the recipe."""
    path: Location | None
    """File of the index; None: another process made one at the same time."""
    parts: int
    clips: int
    """Number of finished clips."""
    failures: int
    """Number of clips without tokens."""

    def line(self) -> str:
        """Return the result as a line for people."""
        where = self.path.name if self.path else "made by another process at the same time"
        return (
            f"{self.recipe}: {plural(self.parts, 'part')}, {plural(self.clips, 'clip')}, "
            f"{plural(self.failures, 'failure')}: {where}"
        )


def make_index(folder: RecipeFolder, *, progress: bool | None = None) -> IndexReport:
    """Read all parts of a recipe and commit an index of them; older ones are removed.

    Args:
        folder: folder of the recipe.
        progress: show a bar; None: when stderr is a terminal.

    Raises:
        StoreError: a part is damaged, or the folder cannot be written.
    """
    folder.refresh()
    clips = folder.parts.merge()
    columns = index_columns(clips, folder.recipe.streams, progress=progress)
    path = write_index(folder.path, folder.recipe.fingerprint, columns)
    folder.parts.reopen()
    return IndexReport(folder.name, path, len(clips.parts), len(clips), len(clips.failures))


def has_index(folder: RecipeFolder) -> bool:
    """Return whether there is an index whose parts are all there unchanged."""
    names = {path.name for path in folder.part_paths}
    return any(
        open_index(path, folder.recipe.fingerprint, names) is not None
        for path in index_paths(folder.path)
    )
