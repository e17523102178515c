"""The fusion that `linear` chooses, against every fixed one, over redrawn splits.

    python benchmarks/fusion.py [--draws 10] [--nemo ../shared/data/speech/labels.csv]
                                [--mosi MANIFEST --mosi-store STORE]

Synthetic streams show the label apart, each broken in some clips (late is good), together (early
is good), or in one stream besides noise. nEMO is read where its manifest is (Polish speech, six
emotions, six speakers): two speakers are tested, one is val, and the inner folds are by speaker.
MOSI is reported only. Prints a table of mean test scores: weighted F1, or -MAE. Exits 1 if the
choice's mean is more than .01 (nEMO: .02) below that of the best fixed choice.
"""

import argparse
import dataclasses
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.heads.data.data import Data, read_data
from emo.heads.data.targets import labels_of
from emo.heads.head import Batch
from emo.heads.library.linear import LinearHead, LinearOptions
from emo.heads.options import FitOptions, LoopOptions
from emo.heads.training.inference import logits_of
from emo.heads.training.loop import train_head
from emo.heads.training.rounds import score_logits
from emo.machine.table import format_table
from emo.manifest import Manifest, read_manifest
from emo.ragged import Ragged

STREAMS, WIDTH, CLASSES = ("s/a", "s/b", "s/c"), 24, 4
CLIPS = {"train": 200, "val": 80, "test": 1000}
BROKEN = 0.3
"""Share of the clips in which a stream that shows the label apart is loud noise instead."""
SYNTHETIC_GOAL, NEMO_GOAL = 0.01, 0.02
Draw = tuple[Batch, Batch, Batch]
"""Pooled or ragged clips of train, val and test, with labels."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--kinds", nargs="*", default=["apart", "together", "one"])
    parser.add_argument("--nemo", type=Path, default=Path("../shared/data/speech/labels.csv"))
    parser.add_argument("--mosi", type=Path, help="manifest of MOSI")
    parser.add_argument("--mosi-store", type=Path, help="store with its features")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, is_short = [], False
    for kind in given.kinds:
        draws = (synthetic(kind, seed) for seed in range(given.draws))
        row, gap = compare(kind, draws, {name: WIDTH for name in STREAMS}, CLASSES)
        rows.append(row | {"goal": f"{SYNTHETIC_GOAL:.2f}"})
        is_short |= gap > SYNTHETIC_GOAL
    if given.nemo.exists():
        with tempfile.TemporaryDirectory() as folder:
            draws, dims, width = nemo(given.nemo, Path(folder), given.draws)
            row, gap = compare("nEMO", draws, dims, width)
        rows.append(row | {"goal": f"{NEMO_GOAL:.2f}"})
        is_short |= gap > NEMO_GOAL
    else:
        print(f"nEMO: {given.nemo} is not there: left out", file=sys.stderr)
    if given.mosi and given.mosi_store:
        options = FitOptions(head="linear")
        manifest = read_manifest(given.mosi)
        data = read_data(manifest, [given.mosi_store], options)
        width = next(iter(data.widths.values()))
        row, _ = compare("MOSI", iter([draw_of(data, manifest)]), data.dims, width)
        rows.append(row | {"goal": "none"})
    print(format_table(rows))
    return int(is_short)


def compare(
    name: str, draws: Iterator[Draw], dims: dict[str, int], width: int
) -> tuple[dict[str, object], float]:
    """Return a row of mean test scores, and how far the choice is below the best fixed one."""
    fixed = ("late", "early", *dims)
    scores: dict[str, list[float]] = {fusion: [] for fusion in ("auto", *fixed)}
    chosen: Counter[str] = Counter()
    statistics = builder(dims, width, "early")()  # those of clips do not depend on the fusion
    for number, draw in enumerate(draws, 1):
        train, val, test = (statistics.pool(batch) for batch in draw)
        for fusion, found in scores.items():
            build = builder(dims, width, fusion)
            outcome = train_head(build, train, val, LoopOptions(), seed=0)
            head = build()
            head.load_state_dict(outcome.state)
            found.append(score_logits(logits_of(head, test), test)[1])
            if outcome.choice is not None:
                chosen[outcome.choice.chosen] += 1
        means = ", ".join(f"{fusion} {np.mean(found):.3f}" for fusion, found in scores.items())
        seconds = time.process_time()
        print(f"{name}, draw {number}, {seconds:.0f} s: means {means}", file=sys.stderr)
    means = {fusion: float(np.mean(found)) for fusion, found in scores.items()}
    best = max(fixed, key=lambda fusion: means[fusion])
    gap = means[best] - means["auto"]
    streams = {f"stream {k + 1}": means[stream] for k, stream in enumerate(dims)}
    cells = {"auto": means["auto"], "late": means["late"], "early": means["early"], **streams}
    return {
        "streams": name, "draws": len(scores["auto"]),
        **{key: f"{value:.3f}" for key, value in cells.items()},
        **({} if len(dims) > 2 else {"stream 3": "–"}),
        "chosen": ", ".join(f"{fusion} {count}" for fusion, count in chosen.most_common()),
        "below the best": f"{gap:.3f}",
    }, gap  # fmt: skip


def builder(dims: dict[str, int], width: int, fusion: str) -> Callable[[], LinearHead]:
    options = LinearOptions(fusion=fusion)
    return lambda: LinearHead(dims, {"label": width}, options=options)


def synthetic(kind: str, seed: int) -> Draw:
    """Clips of one draw; train, val and test share how streams show the label."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((len(STREAMS), CLASSES, WIDTH))
    found = []
    for count in CLIPS.values():
        labels = np.arange(count) % CLASSES
        noise = random.standard_normal((len(STREAMS), count, WIDTH))
        if kind == "apart":
            values = noise + 0.5 * centres[:, labels]
            is_broken = random.random((len(STREAMS), count)) < BROKEN
            values[is_broken] = 5 * random.standard_normal((int(is_broken.sum()), WIDTH))
        elif kind == "together":  # the second stream is the first, but for the label
            hidden = 4 * random.standard_normal((count, CLASSES))
            values = noise.copy()
            values[0, :, :CLASSES] = hidden
            values[1, :, :CLASSES] = hidden + 1.2 * np.eye(CLASSES)[labels]
            values[:2, :, :CLASSES] += 0.3 * noise[:2, :, :CLASSES]
        else:
            values = noise
            values[0] += 0.45 * centres[0, labels]
        streams = {
            name: Ragged(torch.from_numpy(part.astype(np.float32)), torch.arange(count + 1))
            for name, part in zip(STREAMS, values, strict=True)
        }
        found.append(Batch(streams, targets={"label": torch.from_numpy(labels)}))
    train, val, test = (standardised(batch, found[0]) for batch in found)
    return train, val, test


def standardised(batch: Batch, train: Batch) -> Batch:
    """Scale each column by its mean and deviation over train, as a fit does."""
    streams = {}
    for name, tokens in batch.streams.items():
        known = train.streams[name].values
        values = (tokens.values - known.mean(0)) / known.std(0)
        streams[name] = Ragged(values, tokens.offsets)
    return Batch(streams, targets=batch.targets)


def nemo(path: Path, folder: Path, draws: int) -> tuple[Iterator[Draw], dict[str, int], int]:
    """Extract two kinds of features, and yield splits of whole speakers."""
    manifest = read_manifest(path, root=path.parents[1])
    extract(
        manifest,
        folder,
        requests_from_words(["classic", "logmel"]),
        ExtractOptions(workers=1),
        progress=False,
    )
    speakers = sorted({clip.speaker for clip in manifest.clips if clip.speaker})
    ways = list(itertools.permutations(speakers, 3))
    order = np.random.default_rng(0).permutation(len(ways))[:draws]
    options = FitOptions(head="linear", streams=("classic/audio", "logmel/audio"))

    def read(k: int) -> Data:
        return read_data(redrawn(manifest, ways[k]), [folder], options)

    first = read(order[0])
    width = next(iter(first.widths.values()))
    return (draw_of(read(k), manifest) for k in order), first.dims, width


def redrawn(manifest: Manifest, held_out: tuple[str, ...]) -> Manifest:
    """Return the manifest with two speakers in test and the third in val."""
    first, second, third = held_out
    names = {first: "test", second: "test", third: "val"}
    clips = tuple(
        dataclasses.replace(clip, split=names.get(clip.speaker or "", "train"))
        for clip in manifest.clips
    )
    return dataclasses.replace(manifest, clips=clips)


def draw_of(data: Data, manifest: Manifest) -> Draw:
    """Return the clips of a fit with their labels, those of test, too."""
    target = data.targets[0]
    cells = {clip.id: clip.targets.get(target.name) for clip in manifest.clips}
    splits = {name: split.batch for name, split in data.splits.items()}
    labels = labels_of(target, [cells[clip_id] for clip_id in data.splits["test"].ids])
    gold = torch.from_numpy(target.scaled(labels))
    test = dataclasses.replace(splits["test"], targets={"label": gold})
    train, val = (
        dataclasses.replace(splits[name], targets={"label": splits[name].targets[target.name]})
        for name in ("train", "val")
    )
    return train, val, test


if __name__ == "__main__":
    sys.exit(main())
