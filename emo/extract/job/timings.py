"""What each stage of a worker did with its time: sums that add up over parts and workers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from emo.table import format_table

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


SHOWN_SECONDS = 20.0
"""Of work of all workers together; shorter jobs are not worth a table."""


LIMITING_SHARE = 0.5
"""Threads that are busy for less of their time hold nobody up."""


_ADVICE = {
    "load": "loading models: give a worker more parts (--parts-per-task, fewer --workers)",
    "decode": "decoding: add cores (--cpus-per-task)",
    "faces": "finding faces on the CPU: add cores (--cpus-per-task) or a GPU (--gpus-per-task), or "
    "keep crops once for all face models (--backbone faces)",
    "prepare": "preparing clips for the models: add cores (--cpus-per-task)",
    "encode": "the models on the CPU: add cores (--cpus-per-task) or a GPU (--gpus-per-task)",
    "write": "writing: commit more clips together (--part-clips), or write to a faster disk",
}


_GPU_ADVICE = {
    "faces": "finding faces on the GPU: more workers on it (--workers, --gpus-per-task 0.5), or "
    "keep crops once for all face models (--backbone faces)",
    "encode": "the models on the GPU: a larger share of one (--gpus-per-task), --dtype bf16, a "
    "larger --batch-clips or --batch-size",
}


def stage_lines(totals: WorkTotals) -> list[str]:
    """The table and the advice; nothing when too little was done to tell."""
    if totals.wall_seconds < SHOWN_SECONDS:
        return []
    return [stage_table(totals), advice(totals)]


def stage_table(totals: WorkTotals) -> str:
    """One row a stage, as its clips meet them.

    ``busy`` is the share of its threads' time; ``decode``, ``faces`` (on a CPU) and ``prepare``
    have the same threads, ``load``, ``encode`` and ``write`` share one.
    """
    rows: list[dict[str, object]] = []
    for name, stage in totals.stages.items():
        if not stage.items:
            continue
        threads = stage.thread_seconds / totals.wall_seconds if totals.wall_seconds else 0.0
        depth = stage.queued_seconds / totals.wall_seconds if totals.wall_seconds else 0.0
        has_queue = name in ("decode", "encode") or depth > 0
        rows.append(
            {
                "stage": name, "threads": round(threads), "busy %": round(100 * stage.busy_share),
                "done": stage.items, "seconds": round(stage.busy_seconds),
                "waiting before it": round(depth) if has_queue else None,
            }
        )  # fmt: skip
    return format_table(rows)


def limiting(totals: WorkTotals) -> str | None:
    """The stage that takes most of the threads which have least to spare; None: all have."""
    groups: list[tuple[str, ...]] = [CLIP_THREADS, MAIN_THREAD]
    if totals.is_mostly_on_gpu:
        groups = [("decode", "prepare"), ("faces",), MAIN_THREAD]
    shares = {group: sum(totals.stage(name).busy_share for name in group) for group in groups}
    busiest = max(groups, key=lambda group: shares[group])
    if shares[busiest] < LIMITING_SHARE:
        return None
    return max(busiest, key=lambda name: totals.stage(name).busy_share)


def advice(totals: WorkTotals) -> str:
    """One line that follows from the shares."""
    name = limiting(totals)
    if name is None:
        return "no stage limits: the job is too small, or its parts are (--part-clips)"
    by_place = _ADVICE | (_GPU_ADVICE if totals.is_mostly_on_gpu else {})
    return f"what limits is {by_place[name]}"
