"""The journal of one part: which clips were in progress when a worker died, to find the bad clip.

A worker lists the clips of a group before it starts on them, and removes the entry when they are
committed. An entry that stays means that the worker died. The next attempt divides those clips into
quarters, each with its own commit, until the clip that kills its worker is alone, kills another
one, and is recorded as failed. (Quarters instead of halves: loading a model again costs more than a
small part.)
"""

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from emo.errors import StoreError, plural
from emo.extract.job.files.files_of import files_of
from emo.machine.untrusted.documents import DocumentError, parse_checked
from emo.machine.untrusted.files import UnfitFileError
from emo.machine.untrusted.kinds import Fields, ListOf, OneOf
from emo.store.backend.commit import cannot_write
from emo.store.backend.location import Location
from emo.store.backend.process_identity import host, is_process_alive, this_process

LOGS = "logs"
"""Folder of the workers' logs in the job folder."""
MOST_JOURNAL_BYTES = 2**28
"""Largest journal that is read, 256 MiB."""
_ENTRY = Fields(
    {"by": str}, {"begin": ListOf(str), "how": OneOf((str, None)), "died": bool, "end": bool}
)
MOST_PIECES = 4
"""Most groups into which the clips of a dead worker are divided."""
FRESH_SECONDS = 120
"""Age of a log, in seconds, from which a worker of another machine counts as dead."""


@dataclass(frozen=True)
class Death:
    """The death of a worker."""

    clips: frozenset[str]
    """Ids of the clips that the worker had in progress."""
    how: str | None
    """Signal or reason of the death, such as ``SIGSEGV``; None: not observed, because the machine
    or the whole task ended, too."""


@dataclass(frozen=True)
class ClipGroup:
    """Clips that are done and committed together when a part is retried after a death."""

    clips: tuple[str, ...]
    """Ids of the group's clips."""
    give_up_reason: str | None = None
    """Reason to record the group's clips as failed; None: the clips are tried again."""


class Journal:
    """Journal of one part: a list of JSON entries that exists only while there are any."""

    def __init__(self, path: Location) -> None:
        """Use the list ``path``; a folder of a disk exists."""
        self.path = path
        self._files, self._name = files_of(path.parent), path.name

    def exists(self) -> bool:
        """Return whether there are entries."""
        return self._files.has_list(self._name)

    def begin(self, clip_ids: Iterable[str]) -> None:
        """Record that this process has begun to work on some clips."""
        self._append({"begin": list(clip_ids), "by": me()})

    def end(self) -> None:
        """Record that this process has no clips in progress any more: committed, or given up."""
        entries = self._entries()
        if all(entry.get("by") == me() and "how" not in entry for entry in entries):
            try:
                self._files.clear(self._name)
            except OSError as error:
                raise cannot_write(self.path.parent, error) from error
        else:
            self._append({"end": True, "by": me()})

    def died(self, by: str, how: str | None) -> bool:
        """Record the death of a worker, if it had clips in progress.

        Args:
            by: name by which the worker signs, see :func:`me`.
            how: signal or reason; None: unknown.

        Returns:
            Whether it had clips in progress.
        """
        clips = self.in_hand().get(by)
        if clips is not None:
            self._append({"died": True, "by": by, "how": how})
        return clips is not None

    def carry(self, deaths: Iterable[Death]) -> None:
        """Copy deaths of an earlier job that concern clips of this part."""
        for death in deaths:
            self._append({"begin": sorted(death.clips), "by": "earlier", "how": death.how})
            self._append({"died": True, "by": "earlier", "how": death.how})

    def in_hand(self) -> dict[str, list[str]]:
        """Return name of a worker -> clips that the worker has in progress, or had when it died
        unobserved."""
        open_: dict[str, list[str]] = {}
        for entry in self._entries():
            if "begin" in entry:
                open_[entry["by"]] = entry["begin"]
            else:
                open_.pop(entry["by"], None)
        return open_

    def seen(self) -> int:
        """Number of deaths in the journal that another process observed."""
        return sum("died" in entry for entry in self._entries())

    def deaths(self) -> list[Death]:
        """Return all deaths: the observed ones in order, then those that were not observed.

        A worker that may still be alive has not died.
        """
        found: list[Death] = []
        open_: dict[str, list[str]] = {}
        for entry in self._entries():
            by = entry["by"]
            if by in open_ and ("begin" in entry or "died" in entry):
                found.append(Death(frozenset(open_.pop(by)), entry.get("how")))
            if "begin" in entry:
                open_[by] = entry["begin"]
            elif "end" in entry:
                open_.pop(by, None)
        logs = self.path.parent.parent / LOGS
        gone = (clips for by, clips in open_.items() if not is_at_work(logs, by))
        return found + [Death(frozenset(clips), None) for clips in gone]

    def groups(self, missing: Sequence[str]) -> list[ClipGroup]:
        """Divide the missing clips into groups to do in this order, the least suspected first.

        Clips without a death are one group. The others are grouped by the death with the fewest
        clips that they had a part in; such a group is divided further.

        Args:
            missing: ids of the part's clips that are not committed.
        """
        deaths = self.deaths()
        smallest = dict.fromkeys(missing, Death(frozenset(), None))  # clip -> its smallest death
        for death in sorted(deaths, key=lambda death: -len(death.clips)):
            smallest.update({clip_id: death for clip_id in missing if clip_id in death.clips})
        by_death: dict[Death, list[str]] = {}
        for clip_id, death in smallest.items():
            by_death.setdefault(death, []).append(clip_id)
        groups = []
        for death in sorted(by_death, key=lambda death: (bool(death.clips), -len(death.clips))):
            clips = by_death[death]
            if not death.clips:
                groups.append(ClipGroup(tuple(clips)))
            elif len(clips) == 1:
                groups.append(ClipGroup(tuple(clips), _give_up_reason(clips[0], deaths)))
            else:
                step = -(-len(clips) // MOST_PIECES)
                pieces = (clips[at : at + step] for at in range(0, len(clips), step))
                groups += [ClipGroup(tuple(piece)) for piece in pieces]
        return groups

    def _entries(self) -> list[dict[str, Any]]:
        try:
            lines = self._files.read_list(self._name, MOST_JOURNAL_BYTES)
        except (OSError, UnfitFileError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise StoreError(
                f"{self.path}: the journal cannot be read: {why}; remove it, or plan the job again "
                "with `emo extract`, which keeps what is committed"
            ) from error
        return [entry for line in lines if (entry := _parsed(line))]

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            self._files.append(self._name, json.dumps(entry, ensure_ascii=False).encode())
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error


def me() -> str:
    """Return the name of this process in journals: machine, process, and a random word."""
    return f"{host()}/{this_process()}/{_word(os.getpid())}"


def log_name(by: str) -> str:
    """Return the file name of a worker's log, given the worker's name in journals."""
    return by.replace("/", "-") + ".jsonl"


def is_at_work(logs: Location, by: str) -> bool:
    """Return whether a worker is alive: a process of this machine, or its log is recent.

    Args:
        logs: folder of the workers' logs.
        by: name of the worker in journals.
    """
    if is_worker_alive(by):
        return True
    age_seconds = files_of(logs).age_seconds(log_name(by))
    is_known = by.startswith(f"{host()}/") and os.name != "nt"  # Windows does not tell
    return not is_known and age_seconds is not None and age_seconds < FRESH_SECONDS


def is_worker_alive(by: str) -> bool:
    """Return whether a worker, by its name in journals, is a living process of this machine."""
    if by == me():
        return True
    machine, _, rest = by.partition("/")
    process = rest.partition("/")[0]
    if machine != host() or process == this_process():  # an earlier worker of this process
        return False
    return os.name != "nt" and is_process_alive(process)


@cache
def _word(_pid: int) -> str:
    return uuid.uuid4().hex[:6]


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Parse a line of a journal; None: it is incomplete after a crash, or damaged."""
    try:
        entry: dict[str, Any] = parse_checked(line, _ENTRY)
    except DocumentError:
        return None
    return entry


def _give_up_reason(clip_id: str, deaths: Sequence[Death]) -> str | None:
    """Return the reason to record a clip as failed; None: the clip may be tried again.

    A clip is given up after two deaths: both while it was the only clip in progress, or one of them
    while it was the only clip and with a known cause.
    """
    involved = [death for death in deaths if clip_id in death.clips]
    alone = [death for death in involved if len(death.clips) == 1]
    observed = [death.how for death in alone if death.how]
    if len(alone) < 2 and not (observed and len(involved) > 1):
        return None
    how = observed[-1] if observed else "unknown cause"
    times = plural(len(involved), "time")
    return f"its worker died {times} while processing it, alone in the end: {how}"
