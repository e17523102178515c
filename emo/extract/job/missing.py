"""Find what is not done of a job, and copy the deaths that an earlier job recorded."""

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
    done = _Done(folder)
    parts = (
        enumerate(folder.all_parts())
        if numbers is None
        else ((number, folder.part(number)) for number in numbers)
    )
    for number, part in parts:
        if clips := done.missing(part):
            yield Missing(number, clips)


class _Done:
    """What a job has done so far: clips in the store, or the files of its parts."""

    def __init__(self, folder: JobFolder) -> None:
        """List the parts of the store, or the files."""
        files = folder.job.files
        self._files = files.folder if files else None
        self._store = None if files else Store(folder.job.store)
        self._names = frozenset[str]()
        self._list_files()

    def refresh(self) -> None:
        """List again."""
        for recipe in self._store.recipes.values() if self._store else ():
            recipe.refresh()
        self._list_files()

    def missing(self, part: PartPlan) -> int:
        """Return how many clips of a part are not done; a part without its files has none done."""
        if self._store is not None:
            return len(missing_clips(self._store, part))
        return 0 if part.todo.keys() <= self._names else len(part.clips)

    def _list_files(self) -> None:
        if self._files is not None:
            self._names = frozenset(file_names(self._files))


class PartLooks:
    """Looks again and again at which parts lack clips, listing what is done now and then."""

    def __init__(self, folder: JobFolder, seconds: float) -> None:
        """Look at parts of a job.

        Args:
            folder: the job.
            seconds: age from which the list of the store's parts, or of the files, is renewed.
        """
        self._folder, self._seconds = folder, seconds
        self._done = _Done(folder)
        self._listed = time.monotonic()

    def is_missing(self, part: int) -> bool:
        """Return whether clips of a part are not done."""
        if time.monotonic() >= self._listed + self._seconds:
            self._listed = time.monotonic()
            self._done.refresh()
        return bool(self._done.missing(self._folder.part(part)))


def missing_clips(store: Store, part: PartPlan) -> frozenset[str]:
    """Return the ids of a part's clips that at least one recipe lacks."""
    return frozenset().union(
        *(still_missing(work_of_recipe(store, name), wanted) for name, wanted in part.todo.items())
    )


def failed_clips(store: Store, part: PartPlan) -> frozenset[str]:
    """Return the ids of a part's clips that a recipe records as failed, and that are not to do.

    A clip that failed before and is tried again by this job is to do.
    """
    found = set[str]()
    for name, wanted in part.todo.items():
        recipe = work_of_recipe(store, name)
        failures = recipe.failures
        lost = wanted.ids & failures.keys() if failures else frozenset()
        found |= lost - still_missing(recipe, wanted) if lost else frozenset()
    return frozenset(found)


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
