"""The result of an erasure: lines for people, and the receipt, which holds no id and no content."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import emo
from emo.errors import plural
from emo.machine.table import format_bytes
from emo.store.backend.location import Location, location
from emo.store.backend.object_path import ObjectPath
from emo.store.erase.area import Scan, SearchedArea
from emo.store.erase.edits import ErasedClips
from emo.store.erase.files import links_below, sha256_of
from emo.store.erase.spelled import is_distinct
from emo.store.erase.state import Survey
from emo.store.erase.token_rows import TokenFinder
from emo.store.erased_ids import ERASED, SALT, hashed


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


def report_of(
    store: Location, key: str, survey: Survey, scan: Scan, with_tokens: Sequence[str],
    copies: tuple[str, ...], areas: Sequence[SearchedArea], clips: ErasedClips,
    named_before: frozenset[str],
) -> EraseReport:  # fmt: skip
    """Return the result of an erasure with its receipt.

    Args:
        store: the store.
        key: name of the set of ids.
        survey: what the areas held of the clips.
        scan: what is still there.
        with_tokens: runs whose heads keep tokens of the clips.
        copies: names of runs whose copies were removed from the cache.
        areas: the areas.
        clips: the clips, with the ids that were found.
        named_before: those ids that an earlier erasure of the store had named.
    """
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
