"""What the rows of heads.py share: their data, how much is measured, and what it took."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from heads_floor import Peak, needs
from heads_workload import Workload, make_workload

from emo import plugins
from emo.heads.data.data import Data, read_data
from emo.heads.fitting.threads import has_small_steps, torch_threads
from emo.heads.head import Head
from emo.heads.metrics.classes import confusion, weighted_f1
from emo.heads.options import FitOptions
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import Outcome, train_head

EXP1 = FitOptions.of(
    head="attention_pool", head_options={"hidden": "512", "attention": "128"}, target="emotion",
    patience=1000,
)  # fmt: skip
EXP0 = EXP1.replace(head="mean_pool", head_options={"hidden": "1024"}, batch_size=128)


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    share: float = 1.0
    """Of M's clips."""
    pooled_share: float = 1.0
    """Where a clip is one token a stream."""
    epochs: int = 10
    f1_share: float = 0.25
    """Of M's clips, where F1s over seeds are compared."""
    f1_epochs: int = 8
    trials: int = 50
    searched_clips: int = 2000
    seeds: int = 6


QUICK = Size(0.065, 0.1, 1, 0.02, 2, 3, 500, 1)


@dataclass(frozen=True)
class Spent:
    """Of one side, with its child processes."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Bench:
    """Data, made when they are first asked for, and how fast this machine is."""

    folder: Path
    size: Size
    peak: Peak
    usual: dict[str, tuple[Spent, list[float]]] = field(default_factory=dict)
    """By head, what the usual loop took and lost; it is slow, so it runs once."""

    @cached_property
    def whole(self) -> Workload:
        return make_workload(self.folder / "whole", share=self.size.share)

    @cached_property
    def pooled(self) -> Workload:
        return make_workload(self.folder / "pooled", share=self.size.pooled_share, is_pooled=True)

    @cached_property
    def small(self) -> Workload:
        """Pooled, as many clips as the peer's workload has."""
        count = self.size.searched_clips
        clips = {"train": round(count * 0.7), "val": round(count * 0.1), "test": round(count * 0.2)}
        return make_workload(self.folder / "small", is_pooled=True, clips=clips)

    @cached_property
    def data(self) -> Data:
        return read_data(self.whole.manifest, [self.whole.features], EXP1)

    def floor(self, options: FitOptions, share: float | None = None) -> float:
        """Seconds of an epoch of the clips measured, or of a share of M's."""
        needed = needs(options.head, options.loop.batch_size)
        seconds = needed.flops / self.peak.flops + needed.bytes / self.peak.bytes
        return seconds * (self.size.share if share is None else share)


def beside_floor(wall: float, cpu: float, floor: float) -> dict[str, float]:
    """Seconds of the floor, and how many times its seconds ours are."""
    threads = torch.get_num_threads()
    return {
        "floor_seconds": floor, "of_floor": wall / floor, "cpu_of_floor": cpu / floor / threads,
        "threads": threads,
    }  # fmt: skip


def classes_of(data: Data, options: FitOptions, outcome: Outcome) -> np.ndarray:
    """(N,) of the test clips, by the round that is best on val."""
    head = builder(options, data)()
    head.load_state_dict(outcome.state)
    found: np.ndarray = logits_of(head, data.splits["test"].batch)["emotion"].argmax(1).numpy()
    return found


def test_f1(data: Data, workload: Workload, predicted: np.ndarray) -> float:
    """Weighted F1 of classes (N,) of the test clips."""
    names = {clip.id: clip.targets["emotion"] for clip in workload.manifest.clips}
    gold = np.array([data.classes.index(names[clip_id]) for clip_id in data.splits["test"].ids])
    return float(weighted_f1(confusion(gold, predicted, len(data.classes))))


def builder(options: FitOptions, data: Data) -> Callable[[], Head]:
    kind = plugins.load(plugins.HEADS, options.head, Head)  # type: ignore[type-abstract]
    own = plugins.parse_options(kind.Options, options.head_options, options.head)
    return lambda: kind(data.dims, data.widths, options=own)


def trained(data: Data, options: FitOptions, *, seed: int) -> Outcome:
    """Pooled and trained, as a fit does it."""
    build = builder(options, data)
    with torch.no_grad():
        head = build()
        train, val = (head.pool(data.splits[name].batch) for name in ("train", "val"))
    is_small = has_small_steps(head, train, options.loop.batch_size)
    with torch_threads(1 if is_small else None):
        return train_head(build, train, val, options.loop, seed=seed)


def spent(action: Callable[[], object]) -> Spent:
    cpu, began = sum(os.times()[:4]), time.perf_counter()
    action()
    return Spent(time.perf_counter() - began, sum(os.times()[:4]) - cpu)
