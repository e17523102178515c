"""Says where the time of a job went: a table of stages, and what to add."""

from emo.extract.job.timings import CLIP_THREADS, MAIN_THREAD, WorkTotals
from emo.table import format_table

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
