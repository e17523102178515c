"""Joins what a part's units gave to clips and hands them to the part's writer, in plan order."""

from collections.abc import Mapping
from dataclasses import dataclass

from emo.errors import StoreError
from emo.extract.decode.stretches import StretchResult, join_stretches
from emo.extract.worker.encode import why_absent
from emo.extract.worker.prefetch import PreparedUnit
from emo.store.part.writer import PartWriter


@dataclass(frozen=True)
class ClipDone:
    """A clip after the last backbone."""

    clip_id: str
    failures: dict[str, str]
    """Recipe name -> reason."""
    seconds: dict[str, float]
    """Of one core in ``decode``, ``faces`` and ``prepare``, and its share of ``encode``."""


class Collector:
    """Of one part."""

    def __init__(self, writers: Mapping[str, PartWriter]) -> None:
        """``writers``: by recipe."""
        self.writers = writers
        self.failures: dict[str, dict[str, str]] = {name: {} for name in writers}
        """Recipe name -> clip id -> reason."""
        self._pieces: dict[str, list[StretchResult]] = {name: [] for name in writers}
        """By recipe, the stretches so far of the clip that is being encoded."""
        self._seconds: dict[str, float] = {}

    def add(self, name: str, ready: PreparedUnit, piece: StretchResult) -> None:
        """What a unit gave in one recipe; a complete clip goes to the writer."""
        clip_id, waiting = ready.unit.clip.id, self._pieces[name]
        waiting.append(piece)
        if not ready.unit.is_last_stretch:
            return
        whole = join_stretches(waiting)
        waiting.clear()
        reason = whole.failure or ("" if whole.tokens else why_absent(whole.absent))
        writer = self.writers[name]
        if not reason:
            try:
                writer.add(
                    clip_id, dict(whole.tokens), source=ready.source_hash,
                    absent=dict(whole.absent), notes=dict(whole.notes),
                )  # fmt: skip
            except StoreError as error:
                reason = str(error)
        if reason:
            writer.fail(clip_id, reason, source=ready.source_hash)
            self.failures[name][clip_id] = reason

    def done(self, ready: PreparedUnit, encode_seconds: float) -> ClipDone | None:
        """After the unit's last recipe: its clip, when nothing of it follows."""
        for stage, spent in (*ready.seconds.items(), ("encode", encode_seconds)):
            self._seconds[stage] = self._seconds.get(stage, 0.0) + spent
        if not ready.unit.is_last:
            return None
        clip_id = ready.unit.clip.id
        reasons = {
            name: found[clip_id] for name, found in self.failures.items() if clip_id in found
        }
        seconds = {stage: round(spent, 4) for stage, spent in self._seconds.items()}
        self._seconds.clear()
        return ClipDone(clip_id, reasons, seconds)
