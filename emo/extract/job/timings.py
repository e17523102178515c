"""What each stage of a worker did with its time: sums that add up over parts and workers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

STAGES = ("load", "decode", "faces", "prepare", "encode", "write")
"""In the order in which a clip meets them; ``load`` is that of the models."""
CLIP_THREADS = ("decode", "faces", "prepare")
"""Stages that share the decoding threads (``faces`` only where it runs on the CPU)."""
MAIN_THREAD = ("load", "encode", "write")
"""Stages that share the thread that drives the model."""


@dataclass
class StageTotals:
    """Of one stage; every field is a sum."""

    busy_seconds: float = 0.0
    """Of all its threads together, at work on it."""
    thread_seconds: float = 0.0
    """What its threads had: their number times the seconds that the worker worked."""
    items: int = 0
    """Clips (``load``: models, ``write``: parts) that went through."""
    queued_seconds: float = 0.0
    """Clips that waited before it times seconds; over the wall seconds, the mean queue depth."""

    @property
    def busy_share(self) -> float:
        """0 to 1; stages that share threads have a sum of at most 1."""
        return self.busy_seconds / self.thread_seconds if self.thread_seconds else 0.0

    def add(self, other: Self) -> None:
        """Sum up."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class WorkTotals:
    """Of all stages of one worker, or of several."""

    wall_seconds: float = 0.0
    """In which workers had a part in hand; of all workers together."""
    on_gpu_seconds: float = 0.0
    """Of these, of workers whose models are on a GPU."""
    stages: dict[str, StageTotals] = field(default_factory=dict)

    @property
    def is_mostly_on_gpu(self) -> bool:
        """Of several workers, those with a GPU worked for longer."""
        return 2 * self.on_gpu_seconds > self.wall_seconds

    def stage(self, name: str) -> StageTotals:
        """One of :data:`STAGES`; nothing but zeros when it never ran."""
        return self.stages.setdefault(name, StageTotals())

    def add(self, other: Self) -> None:
        """Sum up."""
        self.wall_seconds += other.wall_seconds
        self.on_gpu_seconds += other.on_gpu_seconds
        for name, totals in other.stages.items():
            self.stage(name).add(totals)

    def to_json(self) -> dict[str, Any]:
        """As the line of a log."""
        rounded = {
            name: {key: round(value, 4) for key, value in asdict(totals).items()}
            for name, totals in self.stages.items()
        }
        return {
            "wall_seconds": round(self.wall_seconds, 4),
            "on_gpu_seconds": round(self.on_gpu_seconds, 4),
            "stages": rounded,
        }

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """From the line of a log."""
        stages = {name: StageTotals(**totals) for name, totals in line["stages"].items()}
        return cls(line["wall_seconds"], line["on_gpu_seconds"], stages)
