"""What the store lacks of a job, and what an earlier job knows of it; loads no model library."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from emo.errors import StoreError
from emo.extract.job.folder import JobFolder
from emo.extract.job.journal import Death
from emo.extract.job.plan import PartPlan, still_missing
from emo.store.store import RecipeFolder, Store


@dataclass(frozen=True)
class Missing:
    """What the store lacks of one part of a job."""

    part: int
    clips: int


def missing_parts(folder: JobFolder) -> Iterator[Missing]:
    """Parts with clips that no committed part of the store holds."""
    store = Store(folder.job.store)
    for number, part in enumerate(folder.all_parts()):
        clips = len(missing_clips(store, part))
        if clips:
            yield Missing(number, clips)


def missing_clips(store: Store, part: PartPlan) -> frozenset[str]:
    """Clips of a part that at least one recipe lacks."""
    return frozenset().union(
        *(still_missing(work_of_recipe(store, name), wanted) for name, wanted in part.todo.items())
    )


def work_of_recipe(store: Store, name: str) -> RecipeFolder:
    """A recipe's folder that was there when the job was planned.

    Raises:
        StoreError: it is gone.
    """
    if name not in store.recipes:
        raise StoreError(
            f"{store.path}: the recipe {name!r}, which this job writes to, is gone. The same `emo "
            "extract` again makes it anew, in a job of its own."
        )
    return store.recipes[name]


def carry_deaths(
    before: JobFolder, now: JobFolder, folders: Mapping[str, RecipeFolder | None]
) -> None:
    """What the journals of an earlier job know of clips that nobody has finished since.

    So that the same command, run again after its only process died, goes on narrowing. A job with
    other recipes tells nothing: what kills one backbone is no clip's fault for another.
    """
    if {request.name for request in before.job.requests} != {
        request.name for request in now.job.requests
    }:
        return
    each = [frozenset(folder.attempts) if folder else frozenset() for folder in folders.values()]
    known = frozenset.intersection(*each)
    deaths = [
        replace(death, clips=death.clips - known)
        for journal in before.journals().values()
        for death in journal.deaths()
    ]
    deaths = [death for death in deaths if death.clips]
    if not deaths:
        return
    for number, part in enumerate(now.all_parts()):
        ids = {clip.id for clip in part.clips}
        here = [Death(death.clips & ids, death.how) for death in deaths]
        now.journal(number).carry(death for death in here if death.clips)
