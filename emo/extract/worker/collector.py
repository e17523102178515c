"""Join the encoded units of one part into clips and pass complete clips to the part's writers."""

from collections.abc import Mapping
from dataclasses import dataclass

from emo.errors import StoreError
from emo.extract.decode.stretches import StretchResult, join_stretches
from emo.extract.worker.decoding.prefetch import PreparedUnit
from emo.store.part.writer import PartWriter


@dataclass(frozen=True)
class ClipDone:
    """Result of a clip after the last backbone."""

    clip_id: str
    failures: dict[str, str]
    """Recipe name -> reason why the clip failed there; empty when every backbone succeeded."""
    seconds: dict[str, float]
    """Stage -> core seconds spent on the clip: ``decode``, ``faces``, ``prepare``, and the clip's
    share of ``encode``."""
    fetched: tuple[int, int] = (0, 0)
    """Requests for media in buckets and at https URLs, and their bytes."""


class Collector:
    """Collects the results of one part, recipe by recipe, in plan order."""

    def __init__(self, writers: Mapping[str, PartWriter]) -> None:
        """Write to one open part writer per recipe name."""
        self.writers = writers
        self.failures: dict[str, dict[str, str]] = {name: {} for name in writers}
        """Recipe name -> id of a failed clip -> reason."""
        self._stretches: dict[str, list[StretchResult]] = {name: [] for name in writers}
        """Recipe name -> results of those stretches of the current clip that are done."""
        self._seconds: dict[str, float] = {}
        """Stage -> core seconds spent on the current clip so far."""
        self._fetched = (0, 0)

    def add(self, name: str, prepared: PreparedUnit, result: StretchResult) -> None:
        """Add the result of a unit in one recipe; a complete clip goes to the recipe's writer."""
        clip_id, stretches = prepared.unit.clip.id, self._stretches[name]
        stretches.append(result)
        if not prepared.unit.is_last_stretch:
            return
        whole = join_stretches(stretches)
        stretches.clear()
        reason = whole.failure or ("" if whole.tokens else _why_absent(whole.absent))
        writer = self.writers[name]
        if not reason:
            try:
                writer.add(
                    clip_id, dict(whole.tokens), source=prepared.source_hash,
                    absent=dict(whole.absent), notes=dict(whole.notes),
                )  # fmt: skip
            except StoreError as error:
                reason = str(error)
        if reason:
            writer.fail(clip_id, reason, source=prepared.source_hash)
            self.failures[name][clip_id] = reason

    def done(self, prepared: PreparedUnit, encode_seconds: float) -> ClipDone | None:
        """Finish a unit after its last recipe.

        Args:
            prepared: the unit.
            encode_seconds: seconds that encoding it took.

        Returns:
            The unit's clip; None: more units of the clip follow.
        """
        for stage, spent in (*prepared.seconds.items(), ("encode", encode_seconds)):
            self._seconds[stage] = self._seconds.get(stage, 0.0) + spent
        requests, size_bytes = self._fetched
        self._fetched = (requests + prepared.fetched[0], size_bytes + prepared.fetched[1])
        if not prepared.unit.is_last:
            return None
        clip_id = prepared.unit.clip.id
        reasons = {
            name: found[clip_id] for name, found in self.failures.items() if clip_id in found
        }
        seconds = {stage: round(spent, 4) for stage, spent in self._seconds.items()}
        self._seconds.clear()
        whole, self._fetched = self._fetched, (0, 0)
        return ClipDone(clip_id, reasons, seconds, whole)


def _why_absent(absent: Mapping[str, str]) -> str:
    """Join the reasons of a clip's absent streams to one line."""
    return "; ".join(f"{stream}: {reason}" for stream, reason in absent.items())
