"""Find what the store lacks of a job, and copy the deaths that an earlier job recorded."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from emo.errors import StoreError
from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import Death
from emo.extract.job.plan import PartPlan, still_missing
from emo.store.backend.location import file_names
from emo.store.store import RecipeFolder, Store


@dataclass(frozen=True)
class Missing:
    """A part of a job with clips that the store lacks."""

    part: int
    """Number of the part."""
    clips: int
    """Number of clips of the part that at least one recipe lacks."""


def missing_parts(folder: JobFolder, numbers: Sequence[int] | None = None) -> Iterator[Missing]:
    """Yield the parts of a job with clips that the store, or the folder of its files, lacks.

    Args:
        folder: the job.
        numbers: the parts that are looked at; None: all.
    """
    files = folder.job.files
    store = None if files else Store(folder.job.store)
    there = set(file_names(files.folder)) if files else set()
    parts = (
        enumerate(folder.all_parts())
        if numbers is None
        else ((number, folder.part(number)) for number in numbers)
    )
    for number, part in parts:
        if store is not None:
            clips = len(missing_clips(store, part))
        else:
            clips = 0 if part.todo.keys() <= there else len(part.clips)
        if clips:
            yield Missing(number, clips)


class PartLooks:
    """Looks again and again at what the store lacks of single parts, listing it now and then."""

    def __init__(self, folder: JobFolder, seconds: float) -> None:
        """Look at parts of a job.

        Args:
            folder: the job.
            seconds: age from which the list of the store's parts is renewed.
        """
        self._folder, self._seconds = folder, seconds
        self._store = Store(folder.job.store)
        self._listed = time.monotonic()

    def is_missing(self, part: int) -> bool:
        """Return whether the store lacks clips of a part."""
        if time.monotonic() >= self._listed + self._seconds:
            self._listed = time.monotonic()
            for recipe in self._store.recipes.values():
                recipe.refresh()
        return bool(missing_clips(self._store, self._folder.part(part)))


def missing_clips(store: Store, part: PartPlan) -> frozenset[str]:
    """Return the ids of a part's clips that at least one recipe lacks."""
    return frozenset().union(
        *(still_missing(work_of_recipe(store, name), wanted) for name, wanted in part.todo.items())
    )


def work_of_recipe(store: Store, name: str) -> RecipeFolder:
    """Return the folder of a recipe that existed when the job was planned.

    Raises:
        StoreError: it does not exist any more.
    """
    if name not in store.recipes:
        raise StoreError(
            f"{store.path}: the recipe {name!r}, which this job writes to, is gone. Run the same "
            "`emo extract` command again to create it, in a new job."
        )
    return store.recipes[name]


def carry_deaths(
    before: JobFolder, now: JobFolder, folders: Mapping[str, RecipeFolder | None]
) -> None:
    """Copy the deaths in an earlier job's journals to the new job, for clips that are not done yet.

    So a command that is run again after its only process died continues to isolate the bad clip.
    Nothing is copied from a job with other recipes: a clip that crashes one backbone may be fine
    for another.

    Args:
        before: the earlier job.
        now: the new job.
        folders: recipe name -> its folder; None: the recipe is new.
    """
    if {request.name for request in before.job.requests} != {
        request.name for request in now.job.requests
    }:
        return
    tried = [frozenset(folder.attempts) if folder else frozenset() for folder in folders.values()]
    done = frozenset.intersection(*tried)
    deaths = []
    for journal in before.journals().values():
        with suppress(StoreError):  # an earlier job's journal that cannot be read is left out
            deaths += [replace(each, clips=each.clips - done) for each in journal.deaths()]
    deaths = [death for death in deaths if death.clips]
    if not deaths:
        return
    for number, part in enumerate(now.all_parts()):
        ids = {clip.id for clip in part.clips}
        here = [Death(death.clips & ids, death.how) for death in deaths]
        now.journal(number).carry(death for death in here if death.clips)
