"""`emo store erase`: take clips out of a store and of the runs made with it, and prove it.

Order: the ids are recorded as erased, so that no worker and no extract brings them back; what the
areas hold of them is surveyed and saved; each file is replaced whole; every byte is read again.
So a kill loses nothing else, and the same command goes on from there to the same end.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from emo.errors import StoreError
from emo.store.backend.location import Location, location
from emo.store.erase.area import Remnant, Scan, SearchedArea, read_or_refuse
from emo.store.erase.caches import clear_caches, scan_caches
from emo.store.erase.edits import ErasedClips
from emo.store.erase.files import files_below, remove_file
from emo.store.erase.heads import keeps_tokens
from emo.store.erase.media import media_names
from emo.store.erase.report import EraseReport, report_of
from emo.store.erase.spelled import IdPattern
from emo.store.erase.state import Survey, load_state, remove_state, save_state
from emo.store.erased_ids import ERASED, SALT, read_erased, write_erased
from emo.store.store import Store

Step = Callable[[str], None]
"""Function that is told what begins now."""
_WEIGHTS = "head.safetensors"


def erase(
    store: Location | str,
    clip_ids: Iterable[str],
    *,
    runs: Sequence[Location | str] = (),
    is_head_removed: bool = False,
    step: Step = lambda _: None,
) -> EraseReport:
    """Take clips out of all files below a store and other areas, and scan these for them.

    Args:
        store: the store, a folder or in a bucket.
        clip_ids: ids of the clips.
        runs: further areas: runs, predictions, packs, job folders, other stores.
        is_head_removed: remove the weights of heads that keep tokens of the clips.
        step: called with a line at the begin of each step.

    Raises:
        StoreError: no store, nothing at an area, a damaged part, or a file that this user may not
            read or write. What was erased until then stays erased; repeat the same call.
    """
    ids = frozenset(clip_ids)
    if not ids:
        raise StoreError("no clips to erase: expected at least one id")
    opened = Store(store, may_be_empty=True)
    if not opened.recipes and not (opened.path / ERASED / SALT).exists():
        raise StoreError(f"{opened.path} is no store: no folder in it holds a recipe.json")
    others = [location(area) for area in runs]
    for area in others:
        read_or_refuse(area)
    named_before = read_erased(opened.path).among(ids)
    key = write_erased(opened.path, ids)
    outermost = _outermost([opened.path, *others])
    step("looking for the clips")
    earlier = load_state(opened.path, key)
    media, longer = media_names([path for area in outermost for path in files_below(area)], ids)
    media |= earlier.media if earlier else frozenset()
    pattern = IdPattern({*ids, *media}, {*_kept_ids(opened, ids), *longer})
    clips = ErasedClips(ids, pattern, media, {*earlier.ids} if earlier else set())
    areas = [SearchedArea(area, clips) for area in outermost]
    survey = _survey(opened.path, key, areas, clips, earlier)
    step("erasing")
    for each in areas:
        each.apply(survey.rows)
    copies = clear_caches(areas, survey.rows, clips)
    with_tokens = _heads_with_tokens(survey)
    for run in with_tokens if is_head_removed else ():
        remove_file(location(run) / _WEIGHTS)
    step("scanning every byte")
    scan = _scan(areas, survey, () if is_head_removed else with_tokens, clips)
    report = report_of(
        opened.path, key, survey, scan, with_tokens, copies, areas, clips, named_before
    )
    if report.is_complete:
        remove_state(opened.path, key)
    return report


def _kept_ids(store: Store, ids: frozenset[str]) -> set[str]:
    kept: set[str] = set()
    for folder in store.recipes.values():
        kept.update(folder.ids)
        kept.update(folder.failures)
    return kept - ids


def _outermost(areas: Sequence[Location]) -> list[Location]:
    """Return the areas without those that lie inside another one, each once."""

    def words(area: Location) -> str:
        whole = area.resolve() if isinstance(area, Path) else area
        return f"{whole}/"

    names = {words(area): area for area in reversed(areas)}
    return [
        area
        for name, area in sorted(names.items())
        if not any(name != other and name.startswith(other) for other in names)
    ]


def _survey(
    store: Location, key: str, areas: Sequence[SearchedArea], clips: ErasedClips,
    earlier: Survey | None,
) -> Survey:  # fmt: skip
    """Find what the areas hold of the clips, and save it before anything is changed."""
    found = Survey(media=clips.media)
    for each in areas:
        each.survey(found)
    if earlier is not None:
        found.add_earlier(earlier)
    found.ids = clips.ids & clips.found
    if found.rows.rows:
        for each in areas:
            found.rows.drop(each.kept_rows())
    save_state(store, key, found)
    return found


def _heads_with_tokens(survey: Survey) -> tuple[str, ...]:
    """Return the runs whose heads keep rows of what they were fitted on."""
    tokens: list[np.ndarray] = list(survey.tokens.values())
    return tuple(
        path
        for path in survey.fitted
        if isinstance(area := location(path), Path) and keeps_tokens(area / _WEIGHTS, tokens)
    )


def _scan(
    areas: Sequence[SearchedArea], survey: Survey, with_tokens: Sequence[str], clips: ErasedClips
) -> Scan:
    found, finder = Scan(), survey.rows.finder()
    for each in areas:
        each.scan(finder, found)
    scan_caches(areas, finder, found, clips)
    found.hits += [
        Remnant(f"{run}/{_WEIGHTS}", "a head that keeps tokens; --remove-heads removes its weights")
        for run in with_tokens
    ]
    return found
