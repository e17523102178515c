"""Draw some of a job's clips at random, and read what they took from the logs of their own job."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from pathlib import Path

import numpy as np

from emo.errors import OptionError
from emo.extract.job.folder import JobFolder
from emo.extract.job.logs import read_logs
from emo.extract.job.plan import PartPlan, Todo, shard_of
from emo.extract.job.request import Request
from emo.extract.job.status.forecast import MOST_GROUPS, ClipCost, Measured, thread_groups
from emo.extract.job.timings import WorkTotals
from emo.machine.untrusted.addresses import is_url
from emo.manifest import Clip
from emo.store.part.reader import Part
from emo.store.store import Store

SEED = 0
"""Seed of the draw, so that the same command draws the same clips."""
WARM_UP = 8
"""Clips that each worker does first, which do not count."""
_GROUP_CLIPS = 8
"""Clips of a group, if the sample is large enough for several."""
_LEAST_GROUPS = 4
LEAST_CLIPS = 4
"""Clips that a job must have so that some can be drawn from it."""


@dataclass(frozen=True)
class Sample:
    """Some clips of a job, and facts about all of them."""

    warm_up: Sequence[PartPlan]
    """A part for each worker, done first."""
    measured: Sequence[PartPlan]
    """A part for each worker, whose clips count."""
    groups: Sequence[Sequence[str]]
    """Ids of the clips that count, in groups: of clips that share a file or a shard, neighbours."""
    lengths: dict[str, float] | None
    """Clip id -> seconds, of all clips of the job; None: the manifest does not tell all."""
    parts: Sequence[int]
    """Number of clips of each part of the job."""
    has_far_shards: bool
    """Whether clips lie in tar shards elsewhere, which are read once for all their clips."""


def draw(parts: Sequence[PartPlan], count: int, workers: int) -> Sample:
    """Draw clips of a job, without repetition.

    Args:
        parts: the job.
        count: clips that count.
        workers: number of workers, each of which warms up on further clips.

    Raises:
        OptionError: the job has too few clips.
    """
    facts = _facts(parts)
    total = sum(facts.sizes)
    if total < LEAST_CLIPS:
        raise OptionError(
            f"--sample: expected a job of at least {LEAST_CLIPS} clips, got {total}; extract them"
        )
    warm = min(WARM_UP * workers, total // 4)
    count = min(count, total - warm)
    blocks = _blocks(total, warm + count, _group_size(count), is_shared=facts.is_shared)
    first: list[Sequence[int]] = []
    while sum(map(len, first)) < warm:
        first.append(blocks.pop())
    found = _clips_at(
        parts, facts.sizes, [position for block in (*first, *blocks) for position in block]
    )
    return Sample(
        [_joined(found, first[k::workers]) for k in range(workers) if first[k::workers]],
        [_joined(found, blocks[k::workers]) for k in range(workers) if blocks[k::workers]],
        [[found[position][0].id for position in block] for block in blocks],
        facts.lengths, facts.sizes, facts.has_far_shards,
    )  # fmt: skip


@dataclass
class _JobFacts:
    """Facts about all clips of a job."""

    sizes: list[int]
    lengths: dict[str, float] | None
    is_shared: bool = False
    """Whether clips share a file or a tar shard; then neighbours are drawn, as they are read."""
    has_far_shards: bool = False


def _facts(parts: Sequence[PartPlan]) -> _JobFacts:
    """Look at every clip once."""
    found, before = _JobFacts([], {}), None
    for part in parts:
        found.sizes.append(len(part.clips))
        for clip in part.clips:
            shard = shard_of(clip)
            file = shard or clip.video or clip.audio
            found.is_shared |= file is not None and file == before
            found.has_far_shards |= shard is not None and is_url(shard)
            before = file
            if clip.start_seconds is None or clip.end_seconds is None:
                found.lengths = None
            elif found.lengths is not None:
                found.lengths[clip.id] = clip.end_seconds - clip.start_seconds
    return found


def _group_size(count: int) -> int:
    """Return how many clips a group has.

    >>> [_group_size(count) for count in (4, 20, 64, 1000)]
    [1, 5, 8, 63]
    """
    return max(min(_GROUP_CLIPS, max(1, count // _LEAST_GROUPS)), -(-count // MOST_GROUPS))


def _blocks(total: int, count: int, size: int, *, is_shared: bool) -> list[Sequence[int]]:
    """Draw positions of clips in the plan, in blocks; neighbours if clips share files."""
    chance = random.Random(SEED)
    if not is_shared:
        positions = chance.sample(range(total), count)
        return [positions[k : k + size] for k in range(0, count, size)]
    blocks = [range(k, min(k + size, total)) for k in range(0, total, size)]
    return list(chance.sample(blocks, min(len(blocks), -(-count // size))))


def _clips_at(
    parts: Sequence[PartPlan], sizes: Sequence[int], positions: Sequence[int]
) -> dict[int, tuple[Clip, frozenset[str]]]:
    """Return position -> the clip there, and names of the recipes that lack it."""
    starts = [0, *accumulate(sizes)]
    wanted: dict[int, list[int]] = {}
    for position in positions:
        wanted.setdefault(bisect_right(starts, position) - 1, []).append(position)
    found = {}
    for number, inside in wanted.items():
        part = parts[number]
        for position in inside:
            clip = part.clips[position - starts[number]]
            lacking = frozenset(name for name, todo in part.todo.items() if clip.id in todo.ids)
            found[position] = (clip, lacking)
    return found


def _joined(
    found: dict[int, tuple[Clip, frozenset[str]]], blocks: Sequence[Sequence[int]]
) -> PartPlan:
    """Make one part of the clips of some blocks."""
    chosen = [found[position] for block in blocks for position in block]
    names = dict.fromkeys(name for _, lacking in chosen for name in lacking)
    todo = {
        name: Todo(frozenset(clip.id for clip, lacking in chosen if name in lacking))
        for name in names
    }
    return PartPlan(tuple(clip for clip, _ in chosen), todo)


def empty_store(folder: Path, requests: Sequence[Request]) -> Path:
    """Make a store for a sample, with the recipes of a job and no clips.

    Args:
        folder: folder of the store, which does not exist yet.
        requests: the job's backbones.
    """
    store = Store.create(folder)
    for request in requests:
        store.add_recipe(request.name, request.recipe)
    return folder


def read_sample(folder: JobFolder, sample: Sample, began: float, wall_seconds: float) -> Measured:
    """Read what the clips took in the job that was made for them.

    Args:
        folder: that job, whose parts are those of the sample.
        sample: the clips.
        began: Unix time at which the job was started.
        wall_seconds: seconds that it took.
    """
    logs = _read(folder, len(sample.warm_up))
    job = folder.job
    stored, part_bytes = _stored(folder, [id_ for group in sample.groups for id_ in group])
    costs = {
        clip_id: ClipCost(clip_id, {**spent, "write": logs.write_seconds}, stored[clip_id],
                          *(0, 0) if sample.has_far_shards else logs.fetched.get(clip_id, (0, 0)))
        for clip_id, spent in logs.seconds.items() if clip_id in stored
    }  # fmt: skip
    groups = [[costs[i] for i in group if i in costs] for group in sample.groups]
    on_gpu = logs.work.on_gpu_seconds > 0
    decode, wall = logs.work.stage("decode"), logs.work.wall_seconds
    workers = max(1, len(logs.starts))
    loading = logs.work.stage("load").busy_seconds / workers
    return Measured(
        groups=[group for group in groups if group],
        lengths=sample.lengths,
        parts=sample.parts,
        part_bytes=part_bytes,
        recipes=len(job.requests),
        workers=workers,
        threads=max(1, round(decode.thread_seconds / wall)) if wall else 1,
        start_seconds=max(logs.starts, default=began) - began + loading,
        wall_share=_wall_share(logs.work, on_gpu=on_gpu),
        batch_clips=job.batch_clips or (64 if on_gpu else 16),
        faces_on_gpu=on_gpu,
        failed=sum(clip_id in logs.failed for group in sample.groups for clip_id in group),
        warm_up=sum(len(part.clips) for part in sample.warm_up),
        seed=SEED,
        wall_seconds=wall_seconds,
    )


def _wall_share(work: WorkTotals, *, on_gpu: bool) -> float:
    """Return wall seconds for each second in which the busiest threads of a worker worked."""
    wall = work.wall_seconds - work.stage("load").busy_seconds
    if wall <= 0:
        return 1.0
    threads = max(1, round(work.stage("decode").thread_seconds / work.wall_seconds))
    busiest = max(
        sum(work.stage(name).busy_seconds for name in stages) / count
        for stages, count in thread_groups(threads, faces_on_gpu=on_gpu)
    )
    return max(1.0, wall / busiest) if busiest else 1.0


@dataclass
class _Logs:
    """What the workers wrote down."""

    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    """Clip id -> stage -> seconds, without clips that warmed a worker up."""
    fetched: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Clip id -> requests and bytes."""
    failed: set[str] = field(default_factory=set)
    starts: list[float] = field(default_factory=list)
    """Unix time at which each worker started."""
    work: WorkTotals = field(default_factory=WorkTotals)
    write_seconds: float = 0.0
    """Mean seconds of writing a clip."""


def _read(folder: JobFolder, warm_parts: int) -> _Logs:
    """Read the logs; clips of the first ``warm_parts`` parts do not count."""
    found, committed = _Logs(), 0
    for line in read_logs(folder.logs):
        event = line.get("event")
        if event == "start":
            found.starts.append(datetime.fromisoformat(line["time"]).timestamp())
        elif event == "commit":
            found.work.add(WorkTotals.from_json(line["work"]))
            committed += line["clips"]
        elif event == "clip" and line["part"] >= warm_parts:
            found.seconds[line["clip"]] = line["seconds"]
            found.fetched[line["clip"]] = tuple(line.get("fetched", (0, 0)))
            if line.get("failed"):
                found.failed.add(line["clip"])
    found.write_seconds = found.work.stage("write").busy_seconds / max(1, committed)
    return found


def _stored(folder: JobFolder, ids: Sequence[str]) -> tuple[dict[str, float], float]:
    """Return id -> bytes in the store, and the bytes of a part besides its clips.

    A file of a part has a size of its own, some bytes for each clip, and the clips' tokens. The
    first two are fitted to the parts of the sample.
    """
    store, tokens = Store(folder.job.store), dict.fromkeys(ids, 0.0)
    part_bytes = 0.0
    for request in folder.job.requests:
        recipe = store.recipes[request.name]
        sizes, clips = [], []
        for path in recipe.part_paths:
            part = Part(path)
            held = sum(part.values(name).nbytes for name in request.recipe.streams)
            sizes.append(path.stat().st_size - held)
            clips.append(len(part.clip_ids) + len(part.failures))
        each, own = _line(clips, sizes)
        part_bytes += own
        for name, spec in request.recipe.streams.items():
            width = spec.dim * np.dtype(spec.dtype).itemsize
            for clip_id, length in zip(ids, recipe.lengths_of(name, ids).tolist(), strict=True):
                tokens[clip_id] += max(0, length) * width
        for clip_id in ids:
            tokens[clip_id] += each
    return tokens, part_bytes


def _line(clips: Sequence[int], sizes: Sequence[float]) -> tuple[float, float]:
    """Fit bytes for each clip and bytes for each part to the sizes of some parts.

    >>> _line([8, 32], [1800.0, 4200.0])
    (100.0, 1000.0)
    >>> _line([10, 10], [1000.0, 1000.0])
    (100.0, 0.0)
    """
    if len(set(clips)) < 2:
        return sum(sizes) / max(1, sum(clips)), 0.0
    each, own = np.polyfit(clips, sizes, 1)
    if min(each, own) < 0:
        return sum(sizes) / sum(clips), 0.0
    return round(float(each), 6), round(float(own), 6)
