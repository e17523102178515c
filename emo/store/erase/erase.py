"""`emo store erase`: take clips out of a store and of the runs made with it, and prove it.

Order: the ids are recorded as erased, so that no worker and no extract brings them back; what the
areas hold of them is surveyed and saved; each file is replaced whole; every byte is read again.
So a kill loses nothing else, and the same command goes on from there to the same end.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import emo
from emo.errors import StoreError, plural
from emo.machine.table import format_bytes
from emo.store.backend.location import Location, location
from emo.store.backend.object_path import ObjectPath
from emo.store.erase.area import Remnant, Scan, SearchedArea, read_or_refuse
from emo.store.erase.caches import clear_caches, scan_caches
from emo.store.erase.edits import ErasedClips
from emo.store.erase.files import files_below, links_below, remove_file, sha256_of
from emo.store.erase.heads import keeps_tokens
from emo.store.erase.media import media_names
from emo.store.erase.spelled import IdPattern, is_distinct
from emo.store.erase.state import Survey, load_state, remove_state, save_state
from emo.store.erase.token_rows import TokenFinder
from emo.store.erased_ids import ERASED, SALT, hashed, read_erased, write_erased
from emo.store.store import Store

Step = Callable[[str], None]
"""Function that is told what begins now."""
_WEIGHTS = "head.safetensors"


@dataclass(frozen=True)
class EraseReport:
    """Result of an erasure."""

    clips: int
    """Number of ids that were to be erased."""
    nowhere: int
    """Number of those that were found nowhere."""
    named_before: int
    """Number of those found nowhere that an earlier erasure of the store had named."""
    key: str
    """Name of the set of ids, from salted hashes."""
    survey: Survey
    """What the areas held of them."""
    after: dict[str, str]
    """File that held something -> SHA-256 of its bytes now; empty: it is gone."""
    scan: Scan
    """What is still there."""
    with_tokens: tuple[str, ...]
    """Runs whose heads keep tokens of the clips."""
    copies: tuple[str, ...]
    """Names of the runs of which copies were removed from this machine's cache."""
    versioned: dict[str, bool | None]
    """Bucket -> whether it keeps older versions; None: not known."""
    document: dict[str, Any]
    """The receipt."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the clips was found any more."""
        return not self.scan.hits

    def lines(self) -> list[str]:
        """Return the result as lines for people."""
        survey, scan = self.survey, self.scan
        gone, erased = sum(not now for now in self.after.values()), self.clips - self.nowhere
        lines = [
            f"erased {plural(erased, 'clip')}: {plural(survey.entries, 'record')} "
            f"in parts, {plural(len(self.after), 'file')} changed ({gone} of them removed)",
            f"scanned {plural(scan.files, 'file')}, {format_bytes(scan.bytes)}, for the ids and "
            f"for {plural(len(survey.rows.rows), 'token')} that no kept clip has: "
            f"{plural(len(scan.hits), 'hit')}",
        ]
        if count := self.nowhere - self.named_before:
            lines.append(f"{_were(count)} found nowhere: check the list, and --runs")
        if self.named_before:
            lines.append(
                f"{_were(self.named_before)} found nowhere, and named by an earlier erasure"
            )
        lines += [f"still there: {hit.file}: {hit.what}" for hit in scan.hits[:20]]
        if len(scan.hits) > 20:
            lines.append(f"… and {len(scan.hits) - 20} more: see the receipt")
        lines += [
            f"fitted on them: {each.path} ({each.kind}; "
            + ", ".join(f"{count} of {split}" for split, count in each.clips.items())
            + ("; keeps tokens of them)" if each.path in self.with_tokens else ")")
            for each in survey.fitted.values()
        ]
        if self.copies:
            lines.append(
                f"removed from this machine's cache: copies of {', '.join(self.copies)}; if such a "
                "run lies in a bucket's folder that --runs did not name, repeat with it"
            )
        for bucket, keeps in self.versioned.items():
            if keeps is not False:
                how = "keeps" if keeps else "may keep (it does not say)"
                lines.append(
                    f"note: {bucket} {how} older versions of what was removed or replaced; a rule "
                    "of the bucket, or its owner, must delete these too"
                )
        lines += [f"not looked into: {name}" for name in scan.not_examined]
        return lines


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
    report = _report(
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


def _report(
    store: Location, key: str, survey: Survey, scan: Scan, with_tokens: Sequence[str],
    copies: tuple[str, ...], areas: Sequence[SearchedArea], clips: ErasedClips,
    named_before: frozenset[str],
) -> EraseReport:  # fmt: skip
    after = {name: sha256_of(location(name)) for name in sorted(survey.before)}
    buckets = {
        each.path.root: each.path.bucket.keeps_versions((store / ERASED / SALT).key)
        for each in areas
        if isinstance(each.path, ObjectPath) and isinstance(store, ObjectPath)
    }
    shown, nowhere = clips.pattern.without, clips.ids - clips.found
    finder: TokenFinder = survey.rows.finder()
    document = {
        "format": "emo erasure", "version": 1, "emo": emo.__version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "is_complete": not scan.hits,
        "store": str(store), "areas": [str(each.path) for each in areas],
        "clips": _hashes(store, clips.ids), "found_nowhere": _hashes(store, nowhere),
        "entries": survey.entries,
        "files": [
            {"file": shown(name), "sha256_before": survey.before[name],
             "sha256_after": after[name] or None}
            for name in sorted(survey.before)
        ],
        "tokens": {
            "of_no_kept_clip": len(survey.rows.rows), "shared_with_kept_clips": survey.rows.shared,
            "looked_for_at_every_byte": finder.rows, "compared_as_rows_only": finder.left_out,
        },
        "ids_compared_in_known_fields_only": sum(not is_distinct(each) for each in clips.ids),
        "scan": {
            "files": scan.files, "bytes": scan.bytes,
            "hits": [{"file": hit.file, "what": hit.what} for hit in scan.hits],
            "not_looked_into": scan.not_examined,
        },
        "fitted_on_the_clips": [
            each.to_json() | {"keeps_tokens": each.path in with_tokens}
            for each in survey.fitted.values()
        ],
        "copies_of_runs_removed_from_the_cache": list(copies),
        "buckets_that_keep_versions": buckets,
        "links_not_followed": [
            shown(str(path)) for each in areas for path in links_below(each.path)
        ],
    }  # fmt: skip
    return EraseReport(
        len(clips.ids),
        len(nowhere),
        len(nowhere & named_before),
        key,
        survey,
        after,
        scan,
        tuple(with_tokens),
        copies,
        buckets,
        document,
    )


def _were(count: int) -> str:
    return f"{plural(count, 'id')} {'was' if count == 1 else 'were'}"


def _hashes(store: Location, ids: Iterable[str]) -> list[str]:
    """Return the salted hashes of the ids, sorted."""
    salt = (store / ERASED / SALT).read_bytes().decode()
    return sorted(hashed(salt, clip_id) for clip_id in ids)
