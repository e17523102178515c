"""Extraction against its bound, against one pass a backbone, and against a plain loop over clips.

    python benchmarks/extract.py [CLIPS] [--quick] [--rows naive]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short. CLIPS is
a folder of media; without it synthetic clips of 720p are made. Both sides of a ratio are measured
in turns in this run, with models loaded and files in the page cache; the value is the median over
the pairs.
"two workers" and the node that is acted have files of their own, which say what they measure.
``cores`` is how much of the machine our side got: below the number of cores others were busy, and
``cpu``, the same ratio in processor seconds, says more than the value.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from extract_node import parts_flow
from extract_setup import Setup, four_backbones, make_setup
from extract_shares import shares
from extract_workers import import_once, two_workers
from naive_loop import NaiveLoop
from spent import Spent, cores_of, median, spent
from store import Figure, figure

from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import source_of
from emo.extract.run import ExtractOptions, extract
from emo.extract.worker.devices import cores
from emo.extract.worker.encode import encode_batch, prepare_one
from emo.manifest import Clip
from emo.store.store import Store

BATCH_CLIPS = 4
"""Clips encoded together: few, so that few clips make several batches."""
TOLERANCE = 1e-3
QUIET = {"OMP_WAIT_POLICY": "PASSIVE", "TQDM_DISABLE": "1"}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clips: int = 12
    """Files of the folder, from small to large ones."""
    frames: int = 8
    """Of each clip."""
    pairs: int = 5
    """Against the naive loop."""
    rounds: int = 3
    """Of the others."""
    worker_clips: int = 48
    """Of one worker and of two."""
    node_parts: int = 6
    """Of a node with a GPU, which is acted."""


QUICK = Size(2, 3, 1, 1, 4, 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="?", type=Path, help="a folder of media; default: made")
    parser.add_argument("--quick", action="store_true", help="two clips, under a minute")
    parser.add_argument("--rows", choices=("all", "naive"), default="all", help="default: all")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else Size()
    if "OMP_WAIT_POLICY" not in os.environ:  # threads that spin while others work cost both sides
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **QUIET})
    if arguments.quick:
        import_once()
    is_short = False
    with tempfile.TemporaryDirectory(prefix="emo-bench-") as folder:
        setup = make_setup(Path(folder), arguments.clips, size.clips, size.frames)
        measure = figures if arguments.rows == "all" else naive_alone
        for line in measure(Path(folder), setup, size):
            is_short |= line.get("verdict") == "short"
            print(json.dumps(line), flush=True)
    return int(is_short)


def figures(folder: Path, setup: Setup, size: Size) -> Iterator[Figure]:
    setup.run_part(folder / "warm-up", setup.manifest.clips[:1])
    yield end_to_end(folder, setup, size)
    yield one_pass(setup, size)
    yield naive(folder, setup, size)
    yield from shares(folder, setup)
    yield two_workers(folder, setup, size.worker_clips)
    yield from parts_flow(folder, size.node_parts)


def naive_alone(folder: Path, setup: Setup, size: Size) -> Iterator[Figure]:
    setup.run_part(folder / "warm-up", setup.manifest.clips[:1])
    yield naive(folder, setup, size)


def end_to_end(folder: Path, setup: Setup, size: Size) -> Figure:
    """`extract` against decoding alone and the forward passes alone; all three use all cores."""
    clips, rows = setup.manifest.clips, []
    options = ExtractOptions(device="cpu", part_clips=len(clips), batch_clips=BATCH_CLIPS)

    def whole(store: Path) -> None:
        with setup.loaded():
            extract(setup.manifest, store, setup.requests, options, progress=False)

    for number in range(size.rounds):
        prepared: list[dict[str, Any]] = []
        decode = spent(partial(decoded, setup, setup.backbones, prepared))
        forward = spent(partial(encoded, setup.backbones, prepared))
        rows.append((decode, forward, spent(partial(whole, folder / f"bound-{number}"))))
    speeds = [len(clips) / median([row[side].wall for row in rows]) for side in range(3)]
    bound = 1 / (1 / speeds[0] + 1 / speeds[1])
    ratio = median([(row[0].wall + row[1].wall) / row[2].wall for row in rows])
    cpu = median([(row[0].cpu + row[1].cpu) / row[2].cpu for row in rows])
    return figure(
        "end to end", ratio, "of the bound", 0.95, cpu=cpu, decode_clips_per_second=speeds[0],
        forward_clips_per_second=speeds[1], bound_clips_per_second=bound,
        clips_per_second=speeds[2], cores=cores_of([row[2] for row in rows]),
    )  # fmt: skip


def one_pass(setup: Setup, size: Size) -> Figure:
    """Decoding and preparing for four backbones; tiny weights, nothing is encoded."""
    four = {type(each).__name__: each for each in four_backbones()}
    ratios, ours = [], []
    for _ in range(size.rounds):
        together = spent(partial(decoded, setup, four, []))
        alone = spent(lambda: [decoded(setup, {name: four[name]}, []) for name in four])
        ours.append(together)
        ratios.append((alone.wall / together.wall, alone.cpu / together.cpu))
    wall, cpu = (median([ratio[kind] for ratio in ratios]) for kind in range(2))
    name = "four passes against one, data path"
    return figure(name, wall, "of one pass", 2.2, cpu=cpu, cores=cores_of(ours))


def naive(folder: Path, setup: Setup, size: Size) -> Figure:
    """A loop over clips against a worker; both on all cores."""
    loop = NaiveLoop(setup.vggface, setup.vit, setup.frames)
    loop(setup.path(setup.manifest.clips[0]))
    if setup.is_real:
        setup = without_others(folder / "first", setup, loop)
    pairs = [
        naive_pair(folder / f"naive-{pair}", setup, loop, is_ours_first=pair % 2 > 0)
        for pair in range(size.pairs)
    ]
    walls = [theirs.wall / ours.wall for ours, theirs in pairs]
    return figure(
        "naive loop against ours", median(walls), "of ours", 2.2, low=min(walls), high=max(walls),
        cpu=median([theirs.cpu / ours.cpu for ours, theirs in pairs]), pairs=size.pairs,
        clips=len(setup.manifest.clips), cores=cores_of([ours for ours, _ in pairs]),
    )  # fmt: skip


def without_others(store: Path, setup: Setup, loop: NaiveLoop) -> Setup:
    """Leave out clips that the loop reads otherwise, or cannot read: late sound, no sound."""
    setup.run_part(store, setup.manifest.clips)
    kept, dropped = [], []
    for clip in setup.manifest.clips:
        try:
            check_equal(store, {clip.id: loop(setup.path(clip))})
            kept.append(clip)
        except Exception as error:
            dropped.append(f"{clip.id} ({type(error).__name__})")
    if not kept:
        raise SystemExit("the loop reads no clip as emo does")
    print(
        f"left out, the loop reads them otherwise: {', '.join(dropped) or 'none'}", file=sys.stderr
    )
    return replace(setup, manifest=replace(setup.manifest, clips=tuple(kept)))


def naive_pair(
    store: Path, setup: Setup, loop: NaiveLoop, *, is_ours_first: bool
) -> tuple[Spent, Spent]:
    """Ours and theirs, over all clips, with equal outputs."""
    found: dict[str, dict[str, np.ndarray]] = {}

    def theirs() -> None:
        found.update({clip.id: loop(setup.path(clip)) for clip in setup.manifest.clips})

    times = {}
    for is_ours in (is_ours_first, not is_ours_first):
        torch.set_num_threads(cores())
        run = partial(setup.run_part, store, setup.manifest.clips)
        times[is_ours] = spent(run if is_ours else theirs)
    check_equal(store, found)
    return times[True], times[False]


def check_equal(path: Path, found: dict[str, dict[str, np.ndarray]]) -> None:
    """Every stream of every clip, to 1e-3 of its value (log-mels are stored as float16).

    MTCNN sums in another order there, so that now and then an edge of a face lies on the other
    side of a pixel: one value in a hundred may be off, by a hundredth at most.
    """
    for name, folder in Store(path).recipes.items():
        (stream,) = folder.recipe.streams
        for clip_id in found:
            (tokens,) = folder.read(stream, [clip_id])
            ours, theirs = tokens.astype(np.float64), found[clip_id][name]
            if ours.shape != theirs.shape:
                raise AssertionError(f"{clip_id} {name}: {ours.shape} and {theirs.shape}")
            is_equal = np.isclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
            if is_equal.mean() < 0.99 or np.abs(ours - theirs)[~is_equal].max(initial=0) > 0.01:
                raise AssertionError(f"{clip_id} {name}: {is_equal.mean():.3f} of values are equal")


def decoded(
    setup: Setup, backbones: dict[str, Backbone], into: list[dict[str, Prepared | str]]
) -> None:
    """Every clip, prepared for all ``backbones`` from one decode, on all cores."""
    needs = [type(each).needs(each.options) for each in backbones.values()]

    def one(clip: Clip) -> dict[str, Prepared | str]:
        views = load_media(source_of(clip, setup.manifest.root), needs, detect=setup.detect)
        pairs = zip(backbones.items(), views, strict=True)
        return {name: prepare_one(backbone, media) for (name, backbone), media in pairs}

    with ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        into.extend(pool.map(one, setup.manifest.clips))


def encoded(backbones: dict[str, Backbone], prepared: list[dict[str, Any]]) -> None:
    """All clips, in batches as the worker makes them."""
    torch.set_num_threads(cores())
    for low in range(0, len(prepared), BATCH_CLIPS):
        batch = prepared[low : low + BATCH_CLIPS]
        for name, backbone in backbones.items():
            items = {place: each[name] for place, each in enumerate(batch)}
            encode_batch(backbone, {p: i for p, i in items.items() if getattr(i, "inputs", None)})


if __name__ == "__main__":
    sys.exit(main())
