"""A node with a GPU, acted: does anything wait that need not, with the times of a real one?

Sixteen threads decode a clip of 720p in 184 ms each, a batch of sixteen clips takes the GPU 40 ms
(87 and 400 clips/s, the figures of an H200 node), and both only sleep; everything else is what
`emo extract` does, commits with fsync included. The bound is the slower of the two stages. Parts
are small, so that their boundaries show: 128 clips, a second and a half of work.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from store import Figure, figure

from emo.extract.backbone import Prepared
from emo.extract.job.folder import JobFolder, write_job
from emo.extract.job.logs import TaskLog
from emo.extract.job.plan import make_plan
from emo.extract.job.request import Job, make_request
from emo.extract.job.timings import WorkTotals, limiting
from emo.extract.media import Media
from emo.extract.worker.part_runner import run_each_part
from emo.extract.worker.worker import PartReport, Worker
from emo.manifest import Clip
from emo.store.store import Store

THREADS, PART_CLIPS, BATCH_CLIPS = 16, 128, 16
DECODE_SECONDS, BATCH_SECONDS = 0.184, 0.040
TOKENS = np.zeros((8, 64), np.float32)


def parts_flow(folder: Path, parts: int) -> Iterator[Figure]:
    """With the next part begun while this one ends, and without."""
    ahead, seconds = acted(folder / "ahead", parts, is_ahead=True)
    _, apart = acted(folder / "apart", parts, is_ahead=False)
    clips = parts * PART_CLIPS
    bound = min(THREADS / DECODE_SECONDS, BATCH_CLIPS / BATCH_SECONDS)
    write = ahead.stage("write")
    yield figure(
        "a node with a GPU, acted", clips / seconds / bound, "of the bound", 0.95,
        bound_clips_per_second=bound, clips_per_second=clips / seconds,
        write_share=write.busy_share, parts=parts,
    ) | {"what limits": limiting(ahead)}  # fmt: skip
    yield figure(
        "parts that flow against parts apart", apart / seconds, "of clips/s apart", 1.02,
        clips_per_second_apart=clips / apart,
    )  # fmt: skip


def acted(store: Path, parts: int, *, is_ahead: bool) -> tuple[WorkTotals, float]:
    """Where the time of one worker went, and how much it was."""
    job, folder = job_of(store, parts)
    left, totals = list(folder.parts), WorkTotals()

    def take(asked_ahead: bool) -> int | None:
        return left.pop(0) if left and (is_ahead or not asked_ahead) else None

    with ExitStack() as stack:
        for name, answer in (
            ("prepare.load_segments", decode), ("prepare.prepare_one", prepare),
            ("encode.encode_batch", encode),
        ):  # fmt: skip
            stack.enter_context(patch(f"emo.extract.worker.{name}", answer))
        worker = stack.enter_context(Worker(job))
        log = stack.enter_context(TaskLog(folder.logs))
        began = time.perf_counter()
        for done in run_each_part(
            worker, folder, take, log, is_stopping=lambda: False, on_clip=lambda failed: None
        ):
            if isinstance(done, PartReport):
                totals.add(done.work)
        return totals, time.perf_counter() - began


def job_of(store: Path, parts: int) -> tuple[Job, JobFolder]:
    logmel = make_request("logmel", "logmel", {})
    recipe = Store.create(store).add_recipe("logmel", logmel.recipe)
    clips = [Clip(f"clip-{k}", video="none.mp4") for k in range(parts * PART_CLIPS)]
    job = Job(store.parent, store, (logmel,), batch_clips=BATCH_CLIPS, threads=THREADS)
    plan = make_plan(job, {"logmel": recipe}, clips, part_clips=PART_CLIPS)
    return job, write_job(job, plan.parts)


def decode(sources: list[Any], needs: list[Any], **_: Any) -> Iterator[list[Media]]:
    for _source in sources:
        time.sleep(DECODE_SECONDS)
        yield [Media() for _need in needs]


def prepare(*_: Any, **__: Any) -> Prepared:
    return Prepared({"audio": TOKENS})


def encode(_: Any, batch: dict[int, Prepared]) -> dict[int, dict[str, np.ndarray]]:
    time.sleep(BATCH_SECONDS * len(batch) / BATCH_CLIPS)
    return {place: {"audio": TOKENS} for place in batch}
