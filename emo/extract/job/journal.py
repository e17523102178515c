"""The journal of one part: which clips were in hand when a worker died, and what to do about it.

A worker writes down the clips of a group before it starts on them and takes the line back when
they are committed. What stays is a death: the next attempt does those clips in quarters, each
committed by itself, until the clip that kills its worker is alone, dies once more, and is recorded
as failed. (Quarters rather than halves: loading a model again costs more than a small part.)
"""

import errno
import json
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emo.store.backend.commit import cannot_write, host

LOGS = "logs"
"""The folder of the workers' logs, beside that of the journals."""
MOST_PIECES = 4
FRESH_SECONDS = 120
"""A worker of another machine whose log is older counts as gone."""


@dataclass(frozen=True)
class Death:
    """A worker died with these clips in hand."""

    clips: frozenset[str]
    how: str | None
    """``SIGSEGV``; None: nobody saw it, because the machine or the whole task went too."""


@dataclass(frozen=True)
class ClipGroup:
    """Clips that are done and committed together in a careful attempt."""

    clips: tuple[str, ...]
    give_up_reason: str | None = None
    """The reason to record them as failed instead of trying again."""


class Journal:
    """One part's; a file of JSON lines that exists only while there is something to tell."""

    def __init__(self, path: Path) -> None:
        """``path``: the file; its folder exists."""
        self.path = path

    def begin(self, clip_ids: Iterable[str]) -> None:
        """These clips are in hand now."""
        self._append({"begin": list(clip_ids), "by": me()})

    def end(self) -> None:
        """They are committed, or given back without harm."""
        entries = self._entries()
        if all(entry.get("by") == me() and "how" not in entry for entry in entries):
            self.path.unlink(missing_ok=True)
        else:
            self._append({"end": True, "by": me()})

    def died(self, by: str, how: str | None) -> bool:
        """Worker ``by`` is dead; returns whether it had clips in hand."""
        clips = self.in_hand().get(by)
        if clips is not None:
            self._append({"died": True, "by": by, "how": how})
        return clips is not None

    def carry(self, deaths: Iterable[Death]) -> None:
        """Deaths of an earlier job with clips of this part."""
        for death in deaths:
            self._append({"begin": sorted(death.clips), "by": "earlier", "how": death.how})
            self._append({"died": True, "by": "earlier", "how": death.how})

    def in_hand(self) -> dict[str, list[str]]:
        """Worker -> the clips that it is at, or died at without anybody seeing it."""
        open_: dict[str, list[str]] = {}
        for entry in self._entries():
            if "begin" in entry:
                open_[entry["by"]] = entry["begin"]
            else:
                open_.pop(entry["by"], None)
        return open_

    def seen(self) -> int:
        """Deaths that somebody saw."""
        return sum("died" in entry for entry in self._entries())

    def deaths(self) -> list[Death]:
        """In the order seen; those that nobody saw come last. Who may be at work has not died."""
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
        logs = self.path.parents[1] / LOGS
        gone = (clips for by, clips in open_.items() if not is_at_work(logs, by))
        return found + [Death(frozenset(clips), None) for clips in gone]

    def groups(self, missing: Sequence[str]) -> list[ClipGroup]:
        """What to do of the missing clips and in which order: the least suspect first."""
        deaths = self.deaths()
        tightest = dict.fromkeys(missing, Death(frozenset(), None))  # of none, to begin with
        for death in sorted(deaths, key=lambda death: -len(death.clips)):
            tightest.update({clip_id: death for clip_id in missing if clip_id in death.clips})
        alike: dict[Death, list[str]] = {}
        for clip_id, death in tightest.items():
            alike.setdefault(death, []).append(clip_id)
        groups = []
        for death in sorted(alike, key=lambda death: (bool(death.clips), -len(death.clips))):
            clips = alike[death]
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
            lines = self.path.read_bytes().split(b"\n")  # str knows other line ends
        except FileNotFoundError:
            return []
        return [entry for line in lines if (entry := _parsed(line))]

    def _append(self, entry: dict[str, Any]) -> None:
        # a line of its own even after one that was cut
        data = ("\n" + json.dumps(entry, ensure_ascii=False) + "\n").encode()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                if os.write(handle, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error


def me() -> str:
    """How this process signs: machine, process, and a word no other process has."""
    return f"{host()}/{os.getpid()}/{_word(os.getpid())}"


def log_name(by: str) -> str:
    """The file in the folder of logs of the worker that signs so."""
    return by.replace("/", "-") + ".jsonl"


def is_at_work(logs: Path, by: str) -> bool:
    """Whether that worker lives on this machine, or elsewhere and its log is being written."""
    if is_worker_alive(by):
        return True
    try:
        age_seconds = time.time() - (logs / log_name(by)).stat().st_mtime
    except OSError:
        return False
    return not by.startswith(f"{host()}/") and age_seconds < FRESH_SECONDS


def is_worker_alive(by: str) -> bool:
    """Whether that worker is this process or another living one of this machine."""
    if by == me():
        return True
    machine, _, rest = by.partition("/")
    pid = rest.partition("/")[0]
    if machine != host() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError:
        return False
    return True


@cache
def _word(_pid: int) -> str:
    return uuid.uuid4().hex[:6]


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line that was cut by a crash, perhaps inside a letter, is nothing."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "by" in entry else None


def _give_up_reason(clip_id: str, deaths: Sequence[Death]) -> str | None:
    """Two deaths, one of them alone and seen, or both alone, condemn the clip."""
    having = [death for death in deaths if clip_id in death.clips]
    alone = [death for death in having if len(death.clips) == 1]
    seen = [death.how for death in alone if death.how]
    if len(alone) < 2 and not (seen and len(having) > 1):
        return None
    how = seen[-1] if seen else "killed, nobody saw by what"
    return f"its worker died {len(having)} times with it in hand, alone in the end: {how}"
