"""Two worker processes against one, on the same clips; threads are divided between them.

Both sides run in processes of their own with as many decoding threads as there are cores, or half
of them each. A rate counts from the first clip on, so that starting processes and loading models,
which a real job does once, do not count. On a machine whose cores one worker fills already, two
can be no faster: the line names what limited each side, and how busy that was.
"""

import json
import multiprocessing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from extract_setup import Setup
from store import Figure, figure

from emo.extract.executor import Progress
from emo.extract.executors.local import run_supervised
from emo.extract.job.folder import JobFolder, write_job
from emo.extract.job.plan import make_plan
from emo.extract.job.request import Job
from emo.extract.job.timings import STAGES, WorkTotals, limiting
from emo.extract.worker.devices import cores
from emo.store.store import Store

BATCH_CLIPS = 4
LEAST_RATIO = 0.95
"""Two workers on the cores of one: no worse than that."""
IMPORTED = (
    "emo.extract.executors.local",
    "emo.extract.backbones.hf",
    "emo.extract.backbones.vggface",
    "emo.extract.backbones.logmel",
    "emo.extract.faces.detector",
    "transformers.models.vit.modeling_vit",
    "transformers.models.vit.image_processing_vit",
)
"""By every worker, before its first clip."""


def import_once() -> None:
    """Start the process that workers are forked from, with what each of them would import.

    It changes when workers begin, not a clip's seconds. Where nothing is forked it does nothing.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        forkserver.set_forkserver_preload(list(IMPORTED))
        forkserver.ensure_running()


def two_workers(folder: Path, setup: Setup, clips: int) -> Figure:
    """Clips a second of two against one."""
    sides = {}
    for workers in (1, 2):
        job = job_of(folder / f"workers-{workers}", setup, clips)
        report = run_supervised(job, job.parts, Progress(), workers=workers)
        sides[workers] = (rate(job), report.work)
    (one, alone), (two, both) = sides[1], sides[2]
    return figure(
        "two workers against one", two / one, "of one's clips/s", LEAST_RATIO,
        one_clips_per_second=one, two_clips_per_second=two, machine_cores=cores(), clips=clips,
    ) | {"one's busiest": busiest(alone), "two's busiest": busiest(both)}  # fmt: skip


def job_of(store: Path, setup: Setup, clips: int) -> JobFolder:
    """Four parts, two a worker of two."""
    files = setup.manifest.clips
    rows = [replace(files[k % len(files)], id=f"clip-{k}") for k in range(clips)]
    folders = {
        request.name: Store.create(store).add_recipe(request.name, request.recipe)
        for request in setup.requests
    }
    job = Job(setup.manifest.root, store, setup.requests, batch_clips=BATCH_CLIPS)
    return write_job(job, make_plan(job, folders, rows, part_clips=max(1, clips // 4)).parts)


def rate(job: JobFolder) -> float:
    """Clips a second of all workers while they worked; of each, from its first clip to its last."""
    return sum(_rate(path) for path in job.logs.glob("*.jsonl"))


def _rate(log: Path) -> float:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    commits = [line for line in lines if line["event"] == "commit"]
    if not commits:
        return 0.0
    first = commits[0]["work"]
    ended = [datetime.fromisoformat(line["time"]).timestamp() for line in commits]
    began = ended[0] - first["wall_seconds"] + first["stages"]["load"]["busy_seconds"]
    return float(sum(line["clips"] for line in commits) / (ended[-1] - began))


def busiest(work: WorkTotals) -> str:
    """``faces 61 %``: the stage that takes most, of its threads' time."""
    name = limiting(work) or max(STAGES, key=lambda each: work.stage(each).busy_share)
    return f"{name} {work.stage(name).busy_share:.0%}"
