"""`emo extract --dry-run --sample N`: what a job will take, from some of its clips that were run.

The time of a clip in each stage is known from the workers' logs, its bytes from the store that the
sample was written to. Clips are drawn at random, in groups, and the intervals are t intervals of
the mean over these groups: they cover which clips were drawn, and nothing else.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from emo.errors import plural
from emo.extract.job.timings import CLIP_THREADS, MAIN_THREAD
from emo.machine.table import format_bytes, format_table

T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131,
)  # fmt: skip
"""97.5 % quantiles of Student's t distribution with 1, 2, … degrees of freedom."""
MOST_GROUPS = len(T_QUANTILES) + 1
"""Most groups of clips that an interval is computed from."""
_REQUESTS, _FETCHED, _STORED = "requests", "fetched_bytes", "stored_bytes"


@dataclass(frozen=True)
class Estimate:
    """An expected value and its 95 % interval."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        """Return the estimate in another unit."""
        return Estimate(self.expected * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class ClipCost:
    """What one clip of the sample took."""

    clip_id: str
    seconds: Mapping[str, float]
    """Stage -> seconds of one thread; ``write`` is the clip's share of its part."""
    stored_bytes: float
    """Bytes in the store."""
    requests: float = 0.0
    """Requests for its media in a bucket or at an https URL."""
    fetched_bytes: float = 0.0
    """Bytes that these requests fetched."""


@dataclass(frozen=True)
class Measured:
    """A sample that was run, and the job that it stands for."""

    groups: Sequence[Sequence[ClipCost]]
    """The clips that were measured, in the groups in which they were drawn."""
    lengths: Mapping[str, float] | None
    """Clip id -> seconds, for all clips of the job; None: some are not known, and clips count
    alike."""
    parts: Sequence[int]
    """Number of clips of each part of the job."""
    part_bytes: float
    """Bytes that each part takes besides its clips."""
    recipes: int
    """Recipes of the job; each part is one object in each."""
    workers: int
    """Number of workers."""
    threads: int
    """Threads of a worker that decode and prepare."""
    start_seconds: float
    """Seconds until a worker has loaded its models."""
    wall_share: float
    """Wall seconds of the sample's workers for each second in which their busiest threads worked:
    1 or more, because threads wait for one another."""
    batch_clips: int
    """Clips that the models get together."""
    faces_on_gpu: bool
    """Whether faces are found on a GPU, one clip at a time."""
    failed: int
    """Clips of the sample that failed."""
    warm_up: int
    """Clips that were run before, and do not count."""
    seed: int
    """Seed of the draw."""
    wall_seconds: float
    """Seconds that the measurement took."""


@dataclass(frozen=True)
class JobForecast:
    """What a job will take on this machine."""

    measured: Measured
    hours: Estimate
    """From the start of the workers to the last commit."""
    store_bytes: Estimate
    """Bytes that the store grows by."""
    requests: Estimate | None
    """Requests for media; None: all are local, or lie in tar shards."""
    fetched_bytes: Estimate | None
    """Bytes of these requests."""
    money: Estimate | None
    """Hours times the price of an hour; None: no price was given."""

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        own = self.measured
        estimates = {
            name: None if found is None else asdict(found)
            for name, found in (
                ("hours", self.hours), ("store_bytes", self.store_bytes),
                ("requests", self.requests), ("fetched_bytes", self.fetched_bytes),
                ("money", self.money),
            )
        }  # fmt: skip
        clips = sum(len(group) for group in own.groups)
        return estimates | {
            "clips": sum(own.parts), "sampled": clips, "groups": len(own.groups),
            "failed": own.failed, "warm_up": own.warm_up, "seed": own.seed,
            "workers": own.workers, "is_scaled_by_length": own.lengths is not None,
            "part_objects": len(own.parts) * own.recipes,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return the forecast as a table, and what it assumes."""
        own = self.measured
        clips = sum(len(group) for group in own.groups)
        rows = [_row("time", self.hours, _duration)]
        rows.append(_row("store", self.store_bytes, format_bytes))
        if self.requests is not None and self.fetched_bytes is not None:
            rows.append(_row("requests for media", self.requests, _count))
            rows.append(_row("fetched of media", self.fetched_bytes, format_bytes))
        if self.money is not None:
            rows.append(_row("money", self.money, _number))
        scaled = "scaled by their lengths" if own.lengths is not None else "each counting alike"
        failed = f"; {own.failed} of them failed" if own.failed else ""
        return [
            f"measured {plural(clips, 'clip')} in {own.wall_seconds:.0f} s, drawn at random (seed "
            f"{own.seed}) and {scaled}, after {own.warm_up} to warm up{failed}:",
            format_table(rows),
            f"95 % t intervals over {len(own.groups)} groups of clips. They cover which clips were "
            f"drawn. Assumed: {plural(own.workers, 'worker')} on this machine, as busy as now; "
            f"{plural(len(own.parts) * own.recipes, 'object')} written to a store that is as "
            "fast as the folder for temporary files.",
        ]


def forecast_job(measured: Measured, price_hour: float | None = None) -> JobForecast:
    """Forecast what a job takes.

    Args:
        measured: the sample.
        price_hour: price of an hour of this machine.
    """
    hours = _wall_seconds(measured).times(1 / 3600)
    stored = _total(measured, [[c.stored_bytes for c in g] for g in measured.groups], is_drawn=True)
    parts = measured.part_bytes * len(measured.parts)
    fetched: dict[str, Estimate | None] = {_REQUESTS: None, _FETCHED: None}
    if any(cost.requests for group in measured.groups for cost in group):
        for name in fetched:
            values = [[getattr(cost, name) for cost in group] for group in measured.groups]
            fetched[name] = _total(measured, values, is_drawn=True)
    return JobForecast(
        measured, hours,
        Estimate(stored.expected + parts, stored.low + parts, stored.high + parts),
        fetched[_REQUESTS], fetched[_FETCHED],
        None if price_hour is None else hours.times(price_hour),
    )  # fmt: skip


def _wall_seconds(measured: Measured) -> Estimate:
    """Return the time of the slowest group of threads, and of what does not overlap with it.

    Each worker decodes and encodes at the same time; the first batch is decoded, and the last one
    encoded, while the other threads have nothing to do.
    """
    each = []
    for stages, threads in thread_groups(measured.threads, faces_on_gpu=measured.faces_on_gpu):
        seconds = [
            [sum(cost.seconds.get(stage, 0.0) for stage in stages) / threads for cost in group]
            for group in measured.groups
        ]
        each.append(_total(measured, seconds, is_drawn=False))
    clips = sum(measured.parts)
    share = last_worker_clips(measured.parts, measured.workers) / clips
    alone = min(1.0, measured.batch_clips / (clips * share))
    more = sum(found.expected for found in each) - max(found.expected for found in each)
    start = measured.start_seconds + more * share * alone
    slowest = Estimate(
        max(found.expected for found in each),
        max(found.low for found in each),
        max(found.high for found in each),
    ).times(share * measured.wall_share)
    return Estimate(slowest.expected + start, slowest.low + start, slowest.high + start)


def thread_groups(threads: int, *, faces_on_gpu: bool) -> list[tuple[Sequence[str], int]]:
    """Return the stages of a clip that share threads, and how many threads these are."""
    main = [stage for stage in MAIN_THREAD if stage != "load"]
    if not faces_on_gpu:
        return [(CLIP_THREADS, threads), (main, 1)]
    decoding = [stage for stage in CLIP_THREADS if stage != "faces"]
    return [(decoding, threads), (main, 1), (["faces"], 1)]


def _total(measured: Measured, values: Sequence[Sequence[float]], *, is_drawn: bool) -> Estimate:
    """Return the sum over all clips of the job, from the values of those that were drawn.

    Args:
        measured: the sample.
        values: one value for each clip, by group.
        is_drawn: whether the values of the clips that were drawn are what they will be in the job,
            so that only the others are uncertain.
    """
    clips = sum(measured.parts)
    if measured.lengths is None:
        size, sizes = float(clips), [float(len(group)) for group in measured.groups]
    else:
        size = sum(measured.lengths.values())
        sizes = [sum(measured.lengths[c.clip_id] for c in group) for group in measured.groups]
    sums = [sum(group) for group in values]
    total = sum(sums) / sum(sizes) * size
    error = ratio_error(sums, sizes) * size
    if is_drawn:
        error *= math.sqrt(max(0.0, 1 - sum(map(len, values)) / clips))
    return Estimate(total, max(0.0, total - error), total + error)


def ratio_error(sums: Sequence[float], sizes: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of ``sum(sums) / sum(sizes)``.

    The ratio is linearised (Cochran, Sampling Techniques, 1977, chapter 6).

    >>> round(ratio_error([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]), 6)  # each group has the same ratio
    0.0
    >>> round(ratio_error([9.0, 11.0], [1.0, 1.0]), 2)
    12.71
    """
    count, ratio = len(sums), sum(sums) / sum(sizes)
    if count < 2:
        return math.inf
    rests = np.array(sums) - ratio * np.array(sizes)
    spread = math.sqrt(float((rests**2).sum()) / (count - 1) / count)
    return T_QUANTILES[min(count - 1, len(T_QUANTILES)) - 1] * spread / (sum(sizes) / count)


def last_worker_clips(parts: Iterable[int], workers: int) -> int:
    """Return how many clips the worker does that ends last, when each takes part after part.

    >>> last_worker_clips([100, 100, 100], 2), last_worker_clips([100] * 4, 2)
    (200, 200)
    """
    loads = [0] * workers
    for clips in parts:
        heapq.heapreplace(loads, loads[0] + clips)
    return max(loads)


def _row(what: str, found: Estimate, shown: Any) -> dict[str, object]:
    return {
        "": what, "expected": shown(found.expected), "from": shown(found.low),
        "to": shown(found.high),
    }  # fmt: skip


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(hours: float) -> str:
    """Write hours in a readable unit.

    >>> [_duration(hours) for hours in (0.005, 0.5, 30.25)]
    ['18 s', '30 min', '30.2 h']
    """
    for unit, size in (("s", 3600), ("min", 60)):
        if hours * size < 120:
            return f"{hours * size:.0f} {unit}"
    return f"{_number(hours)} h"


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else str(value)
