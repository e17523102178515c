"""Heads against the usual loop, and against their goals, on workload M (see heads_workload.py).

    python benchmarks/heads.py [ROW ...] [--quick] [--folder DIR]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short; with
wall and processor seconds, and for our side ``floor_seconds``: the multiplications that the head
cannot do without at the measured speed of a matrix product, and its tokens once through memory.
``cores`` is how much of the machine we got; below 2 others were busy, and ratios of processor
seconds (``cpu``) say more than the value. Two threads. ROWs: see ROWS below; none: all.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from heads_floor import Peak, measure_peak, needs
from heads_workload import CLIPS, LENGTHS, RECIPE, Workload, make_workload, write_npy
from padded_loop import NpyClips, train_epoch
from store import Figure, figure

from emo import plugins
from emo.heads import loop
from emo.heads.data import Data, read_data
from emo.heads.fit import fit_head
from emo.heads.head import LIBRARY, Head, Loss
from emo.heads.library.linear import LinearHead, _column_scale
from emo.heads.loop import Outcome, logits_of, train_head
from emo.heads.losses import make_loss
from emo.heads.metrics import confusion, weighted_f1
from emo.heads.options import FitOptions

ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "TQDM_DISABLE": "1"}
"""Threads that spin while others work cost both sides."""
EXP1 = FitOptions(
    head="attention_pool", head_options={"hidden": "512", "attention": "128"}, target="emotion",
    patience=1000,
)  # fmt: skip
EXP0 = replace(EXP1, head="mean_pool", head_options={"hidden": "1024"}, batch_size=128)
EXPERIMENTS = {"attention_pool": "exp1", "mean_pool": "exp0"}
EQUAL_STEPS = 20
T95 = 2.776
"""Student's t of 5 seeds, two-sided."""


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
        needed = needs(options.head, options.batch_size)
        seconds = needed.flops / self.peak.flops + needed.bytes / self.peak.bytes
        return seconds * (self.size.share if share is None else share)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", help="default: all")
    parser.add_argument("--quick", action="store_true", help="few clips, under a minute")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    arguments = parser.parse_args()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ENVIRONMENT})
    torch.set_num_threads(2)
    is_short = False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-bench-") as folder:
        bench = Bench(Path(folder), QUICK if arguments.quick else Size(), measure_peak())
        print(json.dumps(bench.peak.figure()), flush=True)
        for row in arguments.rows or ROWS:
            for line in ROWS[row](bench):
                is_short |= line["verdict"] == "short"
                print(json.dumps(line), flush=True)
    return int(is_short)


def exp1(bench: Bench) -> Iterator[Figure]:
    """From store to scores; with few clips the goal is as much smaller."""
    yield whole_fit(bench, bench.whole, EXP1, 35.0)


def exp1_bf16(bench: Bench) -> Iterator[Figure]:
    """Where the processor has no bfloat16, on few clips and for one epoch, and scaled to M."""
    workload = bench.whole
    if not bench.peak.has_bf16 and bench.size.share > QUICK.share:
        workload = make_workload(bench.folder / "few", share=QUICK.share)
    yield whole_fit(bench, workload, replace(EXP1, bf16=True, batch_size=128), 20.0)


def whole_fit(bench: Bench, workload: Workload, options: FitOptions, goal: float) -> Figure:
    kind = "bf16" if options.bf16 else "fp32"
    is_hopeless = options.bf16 and not bench.peak.has_bf16
    epochs = 1 if is_hopeless else bench.size.epochs
    options = replace(options, epochs=epochs)
    found = spent(lambda: fit_head(workload.manifest, [workload.features], None, options))
    factor = epochs / 10 * workload.clips["train"] / CLIPS["train"]
    return figure(
        f"exp1, 10 epochs of M, load included, {kind} B{options.batch_size}",
        found.wall / factor, "s", goal, cpu=found.cpu / factor, cores=found.cpu / found.wall,
        epochs_measured=epochs, clips_measured=workload.clips["train"],
        floor_seconds=10 * bench.floor(options, 1.0), has_bf16=bench.peak.has_bf16,
    )  # fmt: skip


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
        train_head(build, pooled, val, replace(options, epochs=epochs).loop, seed=0)

    with patch.object(loop, "make_loss", recorded(ours)):
        mine = spent(fit)
    usual, theirs = usual_epoch(bench, options)
    gaps = np.abs(np.subtract(ours[: len(theirs)], theirs))[:EQUAL_STEPS]
    assert gaps.max() < 1e-4, f"losses differ: {gaps}"
    return figure(
        f"{EXPERIMENTS[options.head]} against .npy + DataLoader, fp32 B{options.batch_size}",
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
    batches = [order[k : k + options.batch_size] for k in range(0, len(order), options.batch_size)]
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
    best = replace(EXP1, batch_size=128, learning_rate=2e-3, bf16=bench.peak.has_bf16)
    workload = make_workload(bench.folder / "f1", share=bench.size.f1_share)
    data = read_data(workload.manifest, [workload.features], EXP1)
    scores = np.empty((2, 5))
    for side, options in enumerate((EXP1, best)):
        options = replace(options, epochs=bench.size.f1_epochs)
        for seed in range(5):
            found = classes_of(data, options, trained(data, options, seed=seed))
            scores[side, seed] = test_f1(data, workload, found)
    apart = scores[1] - scores[0]
    half = T95 * float(apart.std(ddof=1)) / 5**0.5
    usual = usual_epoch(bench, EXP1)[0]
    train, build = bench.data.splits["train"].batch, builder(best, bench.data)
    few = bench.data.splits["val"].batch.select(np.arange(32))
    mine = spent(lambda: train_head(build, train, few, replace(best, epochs=1).loop, seed=0))
    yield figure(
        f"exp1 B128 {'bf16' if best.bf16 else 'fp32'} against .npy + DataLoader fp32 B32",
        usual.wall / mine.wall, "of ours", 20.0, cpu=usual.cpu / mine.cpu,
        seconds_an_epoch=mine.wall,
        cpu_an_epoch=mine.cpu, f1_usual=float(scores[0].mean()),
        f1_best=float(scores[1].mean()), f1_difference=float(apart.mean()),
        low=float(apart.mean()) - half, high=float(apart.mean()) + half, seeds=5,
        floor_seconds=bench.floor(best),
    )  # fmt: skip


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


def joint(bench: Bench) -> Iterator[Figure]:
    for size in (8, 32):
        options = replace(
            EXP1, head="joint", head_options={}, target=("emotion", "cause"), batch_size=size,
            learning_rate=1e-3 * (size / 8) ** 0.5,
        )  # fmt: skip
        yield epoch_of(bench, bench.pooled, options, 0.5, epochs=4, dialogues=1039)


def bilstm(bench: Bench) -> Iterator[Figure]:
    yield epoch_of(bench, bench.whole, replace(EXP1, head="bilstm", head_options={}), 40.0)


def cross_modal(bench: Bench) -> Iterator[Figure]:
    yield epoch_of(bench, bench.whole, replace(EXP1, head="cross_modal", head_options={}), 30.0)


def mlstm_fcn(bench: Bench) -> Iterator[Figure]:
    yield epoch_of(bench, bench.whole, replace(EXP1, head="mlstm_fcn", head_options={}), 35.0)


def epoch_of(
    bench: Bench, workload: Workload, options: FitOptions, goal: float, *, epochs: int = 1,
    **more: float,
) -> Figure:  # fmt: skip
    """Seconds of an epoch with its validation, scaled to all clips of M."""
    kind = plugins.load(LIBRARY, options.head, Head)  # type: ignore[type-abstract]
    is_whole = workload is bench.whole
    data = bench.data if is_whole else read_data(
        workload.manifest, [workload.features], options, unit=kind.unit
    )  # fmt: skip
    options = replace(options, epochs=epochs)
    found = spent(lambda: trained(data, options, seed=0))
    factor = epochs * workload.clips["train"] / CLIPS["train"]
    return figure(
        f"{options.head}, an epoch of M, B{options.batch_size}", found.wall / factor, "s", goal,
        cpu=found.cpu / factor, cores=found.cpu / found.wall,
        floor_seconds=bench.floor(options, 1.0), epochs_measured=epochs,
        clips_measured=workload.clips["train"], **more,
    )  # fmt: skip


def linear(bench: Bench) -> Iterator[Figure]:
    """The path of eleven penalties on the pooled streams, and scikit-learn at the one chosen."""
    options = replace(EXP1, head="linear", head_options={"fusion": "early", "std": "no"})
    workload = bench.pooled
    data = read_data(workload.manifest, [workload.features], options)
    outcomes: list[Outcome] = []
    factor = workload.clips["train"] / CLIPS["train"]
    found = spent(lambda: outcomes.append(trained(data, options, seed=0)))
    head = builder(options, data)()
    assert isinstance(head, LinearHead)
    head.load_state_dict(outcomes[0].state)
    penalty = head._penalties()[outcomes[0].best.round - 1]
    splits = {name: head._rows(split.batch) for name, split in data.splits.items()}
    scale = _column_scale(splits["train"], head.blocks)
    theirs = optimum(splits["train"] * scale, data, penalty)
    answers = theirs.predict((splits["test"] * scale).numpy().astype(np.float64))
    yield figure(
        "linear probe, 11 penalties, MELD size", found.wall / factor, "s", 2.0,
        cpu=found.cpu / factor, cores=found.cpu / found.wall,
        clips_measured=workload.clips["train"],
        f1=test_f1(data, workload, classes_of(data, options, outcomes[0])),
        f1_of_sklearn=test_f1(data, workload, answers), penalty_millionths=penalty * 1e6,
    )  # fmt: skip


def optimum(rows: torch.Tensor, data: Data, penalty: float) -> Any:
    """scikit-learn's logistic regression at the same penalty, solved far."""
    from sklearn.linear_model import LogisticRegression

    labels = data.splits["train"].batch.targets["emotion"].numpy()
    model = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-6, max_iter=2000)
    return model.fit(rows.numpy().astype(np.float64), labels)


def search(bench: Bench) -> Iterator[Figure]:
    """Trials of an MLP on pooled features, then 6 seeds with the best; test is scored once."""
    workload = bench.small
    options = replace(
        EXP0, head_options={}, search=bench.size.trials, seeds=bench.size.seeds, patience=12
    )
    found = spent(lambda: fit_head(workload.manifest, [workload.features], None, options))
    factor = (bench.size.trials + bench.size.seeds) / 56 * bench.size.searched_clips / 2000
    yield figure(
        "search 50 + 6 seeds, 2,000 pooled clips, mean_pool", found.wall / factor, "s", 60.0,
        cpu=found.cpu / factor, cores=found.cpu / found.wall, trials_measured=bench.size.trials,
        clips_measured=bench.size.searched_clips,
    )  # fmt: skip


def shell(bench: Bench) -> Iterator[Figure]:
    """`emo fit-head` in a new process, median of three."""
    workload = bench.small
    command = [
        sys.executable, "-m", "emo", "fit-head", str(workload.folder / "manifest.csv"),
        "--features", str(workload.features), "--target", "emotion", "--head", "linear",
        "--out", str(workload.folder / "run"),
    ]  # fmt: skip
    runs = [
        spent(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(3)
    ]
    wall = statistics.median(run.wall for run in runs)
    yield figure(
        f"fit-head linear from shell to result, {bench.size.searched_clips} pooled clips",
        wall, "s", 6.0, cpu=statistics.median(run.cpu for run in runs),
    )  # fmt: skip


ROWS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "exp1": exp1, "exp1-bf16": exp1_bf16, "exp1-ratio": exp1_ratio, "exp1-best": exp1_best,
    "exp0-ratio": exp0_ratio, "joint": joint, "linear": linear, "search": search,
    "bilstm": bilstm, "cross_modal": cross_modal, "mlstm_fcn": mlstm_fcn, "shell": shell,
}  # fmt: skip


def builder(options: FitOptions, data: Data) -> Callable[[], Head]:
    kind = plugins.load(LIBRARY, options.head, Head)  # type: ignore[type-abstract]
    own = plugins.parse_options(kind.Options, options.head_options, options.head)
    return lambda: kind(data.dims, data.widths, options=own)


def trained(data: Data, options: FitOptions, *, seed: int) -> Outcome:
    """Pooled and trained, as a fit does it."""
    build = builder(options, data)
    with torch.no_grad():
        train, val = (build().pool(data.splits[name].batch) for name in ("train", "val"))
    return train_head(build, train, val, options.loop, seed=seed)


def spent(action: Callable[[], object]) -> Spent:
    cpu, began = sum(os.times()[:4]), time.perf_counter()
    action()
    return Spent(time.perf_counter() - began, sum(os.times()[:4]) - cpu)


if __name__ == "__main__":
    sys.exit(main())
