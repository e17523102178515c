"""Sum up how long each stage of the workers was busy, and name the stage that limits the speed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from emo.machine.table import format_table

STAGES = ("load", "decode", "faces", "prepare", "encode", "write")
"""Stages in the order in which a clip goes through them; ``load`` is the loading of models."""
CLIP_THREADS = ("decode", "faces", "prepare")
"""Stages that share the decoding threads (``faces`` only if it runs on the CPU)."""
MAIN_THREAD = ("load", "encode", "write")
"""Stages that share the main thread, which runs the models."""


@dataclass
class StageTotals:
    """Times of one stage; every field is a sum over parts and workers."""

    busy_seconds: float = 0.0
    """Seconds that threads were busy with this stage, all threads together."""
    thread_seconds: float = 0.0
    """Seconds that the stage's threads had: number of threads times the worker's wall seconds."""
    items: int = 0
    """Number of clips that the stage completed (``load``: models, ``write``: parts)."""
    queued_seconds: float = 0.0
    """Seconds that clips waited before this stage, summed over clips. Divided by the wall seconds
    it is the mean number of waiting clips."""

    @property
    def busy_share(self) -> float:
        """Share of the threads' time in which they were busy with this stage, 0 to 1. Stages that
        share threads add up to at most 1."""
        return self.busy_seconds / self.thread_seconds if self.thread_seconds else 0.0

    def add(self, other: Self) -> None:
        """Add the times of another worker or part to this stage."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass
class WorkTotals:
    """Times of all stages of one or several workers."""

    wall_seconds: float = 0.0
    """Seconds in which workers had a part in progress, all workers together."""
    on_gpu_seconds: float = 0.0
    """Part of ``wall_seconds`` that belongs to workers whose models are on a GPU."""
    stages: dict[str, StageTotals] = field(default_factory=dict)
    """Name of a stage, see :data:`STAGES` -> times of the stage."""

    @property
    def is_mostly_on_gpu(self) -> bool:
        """Whether workers with models on a GPU worked longer than the others."""
        return 2 * self.on_gpu_seconds > self.wall_seconds

    def stage(self, name: str) -> StageTotals:
        """Return the times of one of :data:`STAGES`, zeros if it did not run."""
        return self.stages.setdefault(name, StageTotals())

    def add(self, other: Self) -> None:
        """Add the times of another worker or part to these."""
        self.wall_seconds += other.wall_seconds
        self.on_gpu_seconds += other.on_gpu_seconds
        for name, totals in other.stages.items():
            self.stage(name).add(totals)

    def to_json(self) -> dict[str, Any]:
        """Return the times as JSON values for a line of a log."""
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
        """Read the times from a line of a log."""
        stages = {name: StageTotals(**totals) for name, totals in line["stages"].items()}
        return cls(line["wall_seconds"], line["on_gpu_seconds"], stages)


SHOWN_SECONDS = 20.0
"""Wall seconds of all workers together below which no table is shown."""
LIMITING_SHARE = 0.5
"""Share of their time for which a stage's threads must be busy, so that it counts as the limit."""
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
    """Return the table of stages and the advice as lines; none after less than 20 s of work."""
    if totals.wall_seconds < SHOWN_SECONDS:
        return []
    return [stage_table(totals), advice(totals)]


def stage_table(totals: WorkTotals) -> str:
    """Format a table with one row per stage.

    ``busy %`` is the busy share of the stage's threads. ``decode``, ``faces`` (on a CPU) and
    ``prepare`` share their threads; ``load``, ``encode`` and ``write`` share one thread.
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
    """Return the stage that limits the speed: the busiest one in the busiest group of threads.

    Returns:
        Name of the stage; None: no group of threads is busy for half of its time.
    """
    groups: list[tuple[str, ...]] = [CLIP_THREADS, MAIN_THREAD]
    if totals.is_mostly_on_gpu:
        groups = [("decode", "prepare"), ("faces",), MAIN_THREAD]
    shares = {group: sum(totals.stage(name).busy_share for name in group) for group in groups}
    busiest = max(groups, key=lambda group: shares[group])
    if shares[busiest] < LIMITING_SHARE:
        return None
    return max(busiest, key=lambda name: totals.stage(name).busy_share)


def advice(totals: WorkTotals) -> str:
    """Return one line that names the limiting stage and what to change."""
    name = limiting(totals)
    if name is None:
        return "no stage limits the speed: the job is too small, or its parts are (--part-clips)"
    by_stage = _ADVICE | (_GPU_ADVICE if totals.is_mostly_on_gpu else {})
    return f"the limiting stage is {by_stage[name]}"
