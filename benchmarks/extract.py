"""Extraction against its bound, against one pass a backbone, and against a plain loop over clips.

    python benchmarks/extract.py [CLIPS] [--quick]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short. CLIPS is
a folder of media; without it synthetic clips of 720p are made. Both sides of a ratio are measured
in turns in this run, with models loaded and files in the page cache; the value is the median over
the pairs.
``cores`` is how much of the machine our side got: below the number of cores others were busy, and
``cpu``, the same ratio in processor seconds, says more than the value.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from extract_setup import Setup, four_backbones, make_setup
from naive_loop import NaiveLoop
from store import Figure, figure

from emo.extract import segments, work
from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode import load_media
from emo.extract.encode import encode_batch, prepare_one
from emo.extract.executors.local import cores
from emo.extract.run import ExtractOptions, extract
from emo.extract.source import source_of
from emo.manifest import Clip
from emo.store.part import PartWriter
from emo.store.store import Store

BATCH_CLIPS = 4
"""Clips encoded together: few, so that few clips make several batches."""
PART_CLIPS = 64
"""A fair part; usual ones hold 16 to 256 clips."""
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


QUICK = Size(2, 3, 1, 1)


@dataclass
class Spent:
    """Wall and processor seconds of one side."""

    wall: float
    cpu: float


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="?", type=Path, help="a folder of media; default: made")
    parser.add_argument("--quick", action="store_true", help="two clips, under a minute")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else Size()
    if "OMP_WAIT_POLICY" not in os.environ:  # threads that spin while others work cost both sides
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **QUIET})
    is_short = False
    with tempfile.TemporaryDirectory(prefix="emo-bench-") as folder:
        setup = make_setup(Path(folder), arguments.clips, size.clips, size.frames)
        for line in figures(Path(folder), setup, size):
            is_short |= line.get("verdict") == "short"
            print(json.dumps(line), flush=True)
    return int(is_short)


def figures(folder: Path, setup: Setup, size: Size) -> Iterator[Figure]:
    setup.run_part(folder / "warm-up", setup.manifest.clips[:1])
    yield end_to_end(folder, setup, size)
    yield one_pass(setup, size)
    yield naive(folder, setup, size)
    yield from shares(folder, setup)


def end_to_end(folder: Path, setup: Setup, size: Size) -> Figure:
    """`extract` against decoding alone and the forward passes alone; all three use all cores."""
    clips, rows = setup.manifest.clips, []
    options = ExtractOptions(device="cpu", part_clips=len(clips), batch_clips=BATCH_CLIPS)

    def whole(store: Path) -> None:
        with setup.loaded():
            extract(setup.manifest, store, setup.asks, options, progress=False)

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
    pairs = [
        naive_pair(folder / f"naive-{pair}", setup, loop, is_ours_first=pair % 2 > 0)
        for pair in range(size.pairs)
    ]
    walls = [theirs.wall / ours.wall for ours, theirs in pairs]
    return figure(
        "naive loop against ours", median(walls), "of ours", 1.3, low=min(walls), high=max(walls),
        cpu=median([theirs.cpu / ours.cpu for ours, theirs in pairs]), pairs=size.pairs,
        clips=len(setup.manifest.clips), cores=cores_of([ours for ours, _ in pairs]),
    )  # fmt: skip


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
        for clip_id, tokens in zip(folder.ids, folder.read(stream, folder.ids), strict=True):
            ours, theirs = tokens.astype(np.float64), found[clip_id][name]
            is_equal = np.isclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
            if is_equal.mean() < 0.99 or np.abs(ours - theirs)[~is_equal].max(initial=0) > 0.01:
                raise AssertionError(f"{clip_id} {name}: {is_equal.mean():.3f} of values are equal")


@dataclass
class Clock:
    """Sums what wrapped functions take, each in its own thread's processor time."""

    seconds: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                with self.lock:
                    more = time.thread_time() - began
                    self.seconds[name] = self.seconds.get(name, 0.0) + more

        return timed


def shares(folder: Path, setup: Setup) -> Iterator[Figure]:
    """Where the processor time of a part goes, and what is not the work itself.

    One intra-op thread, so that a thread's own time is all of its work.
    """
    clock = Clock()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    detect = type(setup.detect).__call__
    with ExitStack() as stack:
        for place, name, function in (
            (segments, "load_media", load_media),
            (work, "prepare_one", prepare_one),
            (work, "encode_batch", encode_batch),
            (PartWriter, "add", PartWriter.add),
            (PartWriter, "__exit__", PartWriter.__exit__),
            (type(setup.detect), "__call__", detect),
        ):
            stack.enter_context(patch.object(place, name, _method(clock.wrap(name, function))))
        part = spent(lambda: setup.run_part(folder / "shares", setup.manifest.clips))
    torch.set_num_threads(before)
    took = clock.seconds
    seconds = {
        "decode": took["load_media"] - took.get("__call__", 0.0),
        "faces": took.get("__call__", 0.0),
        "prepare": took["prepare_one"],
        "forward": took["encode_batch"],
        "commit": took["add"] + took["__exit__"],
    }
    seconds["other"] = max(0.0, part.cpu - sum(seconds.values()))
    whole = sum(seconds.values())
    largest = max(seconds, key=lambda name: seconds[name])
    yield {
        "figure": "what limits", "value": largest, "unit": "of processor seconds",
        **{name: round(value / whole, 4) for name, value in seconds.items()},
        "clips": len(setup.manifest.clips), "cpu_seconds": round(whole, 2),
    }  # fmt: skip
    idle, more = overhead(folder, setup), PART_CLIPS / len(setup.manifest.clips)
    yield figure(
        "scheduling and store", idle.wall / (part.wall * more), "x a part's time", 0.01,
        cpu=idle.cpu / (part.cpu * more), overhead_seconds=idle.wall,
        part_seconds=part.wall * more, clips=PART_CLIPS,
    )  # fmt: skip


def overhead(folder: Path, setup: Setup) -> Spent:
    """A part whose decoding, preparing and encoding return at once what they once returned."""
    files = setup.manifest.clips
    clips = tuple(
        replace(files[number % len(files)], id=f"clip-{number}") for number in range(PART_CLIPS)
    )
    memory = Memory()
    answers = {
        "load_media": memory.wrap(load_media, lambda source, needs: source),
        "prepare_one": memory.wrap(prepare_one, lambda bone, media: (bone, id(media))),
        "encode_batch": memory.wrap(
            encode_batch, lambda bone, batch: (bone, *map(id, batch.values()))
        ),
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            place = segments if name == "load_media" else work
            stack.enter_context(patch.object(place, name, answer))
        setup.run_part(folder / "kept", clips)
        runs = [spent(partial(setup.run_part, folder / f"idle-{run}", clips)) for run in range(3)]
    return min(runs, key=lambda each: each.wall)


@dataclass
class Memory:
    """Results of functions, by what tells their arguments apart."""

    kept: dict[tuple[str, object], Any] = field(default_factory=dict)

    def wrap(self, function: Callable[..., Any], key: Callable[..., object]) -> Callable[..., Any]:
        def answer(*args: Any, **_: Any) -> Any:
            name = (function.__name__, key(*args))
            if name not in self.kept:
                self.kept[name] = function(*args, **_)
            return self.kept[name]

        return answer


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


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function, which a class binds to its instances."""
    return lambda *args, **named: function(*args, **named)


def spent(action: Callable[[], object]) -> Spent:
    cpu, began = time.process_time(), time.perf_counter()
    action()
    return Spent(time.perf_counter() - began, time.process_time() - cpu)


def median(values: list[float]) -> float:
    return float(statistics.median(values))


def cores_of(sides: list[Spent]) -> float:
    return sum(side.cpu for side in sides) / sum(side.wall for side in sides)


if __name__ == "__main__":
    sys.exit(main())
