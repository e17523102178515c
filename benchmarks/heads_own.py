"""Rows of heads.py that measure our heads alone, against their goals."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from heads_bench import (
    EXP0,
    EXP1,
    QUICK,
    Bench,
    beside_floor,
    builder,
    classes_of,
    spent,
    test_f1,
    trained,
)
from heads_workload import CLIPS, Workload, make_workload
from store import Figure, figure

from emo import plugins
from emo.heads.data.data import Data, read_data
from emo.heads.fitting.fit import fit_head
from emo.heads.head import Head
from emo.heads.library.linear import LinearHead
from emo.heads.options import FitOptions
from emo.heads.training.loop import Outcome


def exp1(bench: Bench) -> Iterator[Figure]:
    """From store to scores; with few clips the goal is as much smaller."""
    yield whole_fit(bench, bench.whole, EXP1, 35.0)


def exp1_bf16(bench: Bench) -> Iterator[Figure]:
    """Where the processor has no bfloat16, on few clips and for one epoch, and scaled to M."""
    workload = bench.whole
    if not bench.peak.has_bf16 and bench.size.share > QUICK.share:
        workload = make_workload(bench.folder / "few", share=QUICK.share)
    yield whole_fit(bench, workload, EXP1.replace(bf16=True, batch_size=128), 20.0)


def whole_fit(bench: Bench, workload: Workload, options: FitOptions, goal: float) -> Figure:
    kind = "bf16" if options.loop.bf16 else "fp32"
    is_hopeless = options.loop.bf16 and not bench.peak.has_bf16
    epochs = 1 if is_hopeless else bench.size.epochs
    options = options.replace(epochs=epochs)
    found = spent(lambda: fit_head(workload.manifest, [workload.features], None, options))
    factor = epochs / 10 * workload.clips["train"] / CLIPS["train"]
    return figure(
        f"exp1, 10 epochs of M, load included, {kind} B{options.loop.batch_size}",
        found.wall / factor, "s", goal, cpu=found.cpu / factor, cores=found.cpu / found.wall,
        epochs_measured=epochs, clips_measured=workload.clips["train"],
        has_bf16=bench.peak.has_bf16,
        **beside_floor(found.wall / factor, found.cpu / factor, 10 * bench.floor(options, 1.0)),
    )  # fmt: skip


def joint(bench: Bench) -> Iterator[Figure]:
    for size in (8, 32):
        options = EXP1.replace(
            head="joint", head_options={}, target=("emotion", "cause"), batch_size=size,
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
    bench: Bench, workload: Workload, options: FitOptions, goal: float, *, epochs: int = 4,
    **more: float,
) -> Figure:  # fmt: skip
    """Seconds of an epoch with its validation, scaled to all clips of M.

    What a fit does once, such as shortening long clips, is divided among its few epochs.
    """
    kind = plugins.load(plugins.HEADS, options.head, Head)  # type: ignore[type-abstract]
    is_whole = workload is bench.whole
    data = bench.data if is_whole else read_data(
        workload.manifest, [workload.features], options, unit=kind.unit
    )  # fmt: skip
    options = options.replace(epochs=epochs)
    found = spent(lambda: trained(data, options, seed=0))
    factor = epochs * workload.clips["train"] / CLIPS["train"]
    return figure(
        f"{options.head}, an epoch of M, B{options.loop.batch_size}",
        found.wall / factor, "s", goal, cpu=found.cpu / factor, cores=found.cpu / found.wall,
        epochs_measured=epochs, clips_measured=workload.clips["train"], **more,
        **beside_floor(found.wall / factor, found.cpu / factor, bench.floor(options, 1.0)),
    )  # fmt: skip


def linear(bench: Bench) -> Iterator[Figure]:
    """The path of eleven penalties on the pooled streams, and scikit-learn at the one chosen; then
    all fusions, of which one is chosen."""
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
    scale = head.column_factors(head.pool(data.splits["train"].batch))
    theirs = optimum(splits["train"] * scale, data, penalty)
    answers = theirs.predict((splits["test"] * scale).numpy().astype(np.float64))
    yield figure(
        "linear probe, 11 penalties, MELD size", found.wall / factor, "s", 1.8,
        cpu=found.cpu / factor, cores=found.cpu / found.wall,
        clips_measured=workload.clips["train"],
        f1=test_f1(data, workload, classes_of(data, options, outcomes[0])),
        f1_of_sklearn=test_f1(data, workload, answers), penalty_millionths=penalty * 1e6,
    )  # fmt: skip
    auto = replace(options, head_options={"std": "no"})
    chosen = spent(lambda: outcomes.append(trained(data, auto, seed=0)))
    yield figure(
        "linear probe, fusion chosen, against one fusion", chosen.wall / found.wall, "x", 2.0,
        cpu=chosen.cpu / factor, cpu_ratio=chosen.cpu / found.cpu,
        f1=test_f1(data, workload, classes_of(data, auto, outcomes[1])),
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
    options = EXP0.replace(
        head_options={}, search=bench.size.trials, seeds=bench.size.seeds, patience=12
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
