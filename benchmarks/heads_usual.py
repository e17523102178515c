"""Rows of heads.py that set our loop against the usual one, see padded_loop.py."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from heads_bench import (
    EXP0,
    EXP1,
    Bench,
    Spent,
    builder,
    classes_of,
    spent,
    test_f1,
    trained,
)
from heads_workload import LENGTHS, RECIPE, make_workload, write_npy
from padded_loop import NpyClips, train_epoch
from store import Figure, figure

from emo.heads.data.data import Data, read_data
from emo.heads.head import Loss
from emo.heads.options import FitOptions
from emo.heads.training import loop
from emo.heads.training.loop import train_head
from emo.heads.training.losses import make_loss

EXPERIMENTS = {"attention_pool": "exp1", "mean_pool": "exp0"}
EQUAL_STEPS = 20
T95 = 2.776
"""Student's t of 5 seeds, two-sided."""


def exp1_ratio(bench: Bench) -> Iterator[Figure]:
    yield against_usual(bench, EXP1, epochs=1, goal=6.0)


def exp0_ratio(bench: Bench) -> Iterator[Figure]:
    """Pooling once is paid once in ten epochs, so both sides count for ten."""
    yield against_usual(bench, EXP0, epochs=10, goal=30.0)


def against_usual(bench: Bench, options: FitOptions, *, epochs: int, goal: float) -> Figure:
    """One epoch of the usual loop against an epoch of ours, with equal losses."""
    data, build, ours = bench.data, builder(options, bench.data), []
    few = data.splits["val"].batch.select(np.arange(32))

    def fit() -> None:
        with torch.no_grad():
            pooled, val = (build().pool(batch) for batch in (data.splits["train"].batch, few))
        train_head(build, pooled, val, options.replace(epochs=epochs).loop, seed=0)

    with patch.object(loop, "make_loss", recorded(ours)):
        mine = spent(fit)
    usual, theirs = usual_epoch(bench, options)
    gaps = np.abs(np.subtract(ours[: len(theirs)], theirs))[:EQUAL_STEPS]
    assert gaps.max() < 1e-4, f"losses differ: {gaps}"
    return figure(
        f"{EXPERIMENTS[options.head]} against .npy + DataLoader, fp32 B{options.loop.batch_size}",
        usual.wall / mine.wall * epochs, "of ours", goal, cpu=usual.cpu / mine.cpu * epochs,
        seconds_an_epoch=mine.wall / epochs, cpu_an_epoch=mine.cpu / epochs,
        floor_seconds=bench.floor(options), usual_seconds=usual.wall, usual_cpu=usual.cpu,
        largest_loss_gap_millionths=float(gaps.max() * 1e6), losses_compared=len(gaps),
        cores=(mine.cpu + usual.cpu) / (mine.wall + usual.wall),
    )  # fmt: skip


def usual_epoch(bench: Bench, options: FitOptions) -> tuple[Spent, list[float]]:
    """Of the usual loop, with the losses of its steps."""
    if options.head in bench.usual:
        return bench.usual[options.head]
    data, clips, losses = bench.data, npy_clips(bench, bench.data), []
    order = np.random.default_rng(0).permutation(len(clips)).tolist()
    size = options.loop.batch_size
    batches = [order[k : k + size] for k in range(0, len(order), size)]
    build = builder(options, data)
    found = spent(lambda: losses.extend(train_epoch(build, clips, batches, options.loop, seed=0)))
    bench.usual[options.head] = found, losses
    return found, losses


def recorded(into: list[float]) -> Callable[..., Loss]:
    """`make_loss`, whose losses are kept."""

    def make(*args: Any) -> Loss:
        inner = make_loss(*args)

        def loss(*given: Any) -> torch.Tensor:
            value = inner(*given)
            into.append(value.item())
            return value

        return loss

    return make


def npy_clips(bench: Bench, data: Data) -> NpyClips:
    if not (bench.whole.folder / "npy").exists():
        write_npy(bench.whole, split="train")
    split = data.splits["train"]
    paths = [{f"{RECIPE}/{n}": bench.whole.npy(i, n) for n in LENGTHS} for i in split.ids]
    return NpyClips(paths, split.batch.targets["emotion"].tolist(), data.scalings)


def exp1_best(bench: Bench) -> Iterator[Figure]:
    """Large batches (and bf16 where there is any) against the usual fp32 B32; F1 over 5 seeds.

    The usual loop's F1 is that of our fp32 B32, whose losses are the same.
    """
    best = EXP1.replace(batch_size=128, learning_rate=2e-3, bf16=bench.peak.has_bf16)
    workload = make_workload(bench.folder / "f1", share=bench.size.f1_share)
    data = read_data(workload.manifest, [workload.features], EXP1)
    scores = np.empty((2, 5))
    for side, options in enumerate((EXP1, best)):
        options = options.replace(epochs=bench.size.f1_epochs)
        for seed in range(5):
            found = classes_of(data, options, trained(data, options, seed=seed))
            scores[side, seed] = test_f1(data, workload, found)
    apart = scores[1] - scores[0]
    half = T95 * float(apart.std(ddof=1)) / 5**0.5
    usual = usual_epoch(bench, EXP1)[0]
    train, build = bench.data.splits["train"].batch, builder(best, bench.data)
    few = bench.data.splits["val"].batch.select(np.arange(32))
    mine = spent(lambda: train_head(build, train, few, best.replace(epochs=1).loop, seed=0))
    yield figure(
        f"exp1 B128 {'bf16' if best.loop.bf16 else 'fp32'} against .npy + DataLoader fp32 B32",
        usual.wall / mine.wall, "of ours", 20.0, cpu=usual.cpu / mine.cpu,
        seconds_an_epoch=mine.wall,
        cpu_an_epoch=mine.cpu, f1_usual=float(scores[0].mean()),
        f1_best=float(scores[1].mean()), f1_difference=float(apart.mean()),
        low=float(apart.mean()) - half, high=float(apart.mean()) + half, seeds=5,
        floor_seconds=bench.floor(best),
    )  # fmt: skip
