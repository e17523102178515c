"""The store against a raw memory map of the same bytes, and against its goals.

    python benchmarks/store.py [--small] [--folder DIR]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short.
Ratios are medians over pairs measured in turns in this run, with everything in the page cache,
so that a busy machine slows both sides alike; ``cores`` is how much of the machine we got, and
below the number of threads (1 when not said) the figure says little. The data are ragged float16
tokens of 768 numbers.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

from emo.ragged import Ragged, offsets_of
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.recipe_folder import RecipeFolder

DIM = 768
Figure = dict[str, object]
RECIPE = Recipe("bench", {"video": StreamSpec(DIM)})


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    part_bytes: int = 128 * 2**20
    parts: int = 5
    pairs: int = 15
    clips: int = 20_000
    """Random reads."""
    epochs: int = 2
    opened_parts: int = 10_000
    opened_clips: int = 100
    """In each of them."""


SMALL = Size(8 * 2**20, 3, 5, 2_000, 1, 500, 100)


@dataclass(frozen=True)
class Data:
    """The same tokens three times: in a store, in a raw file that is mapped, in RAM."""

    folder: Path
    mapped: np.ndarray
    """(ΣT, DIM)."""
    tokens: Ragged
    ids: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a few megabytes, seconds")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    arguments = parser.parse_args()
    size = SMALL if arguments.small else Size()
    is_short = False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-bench-") as folder:
        for figure in figures(Path(folder), size):
            is_short |= figure["verdict"] == "short"
            print(json.dumps(figure), flush=True)
    return int(is_short)


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    data = make_data(folder, size)
    megabytes = round(data.mapped.nbytes / 1e6)
    files = list(data.folder.glob("*/*.zip"))
    held = sum(file.stat().st_size for file in files)
    yield figure("bytes", held / data.mapped.nbytes, "x raw", 1.002, MB=megabytes, parts=len(files))
    yield scan(data, size, threads=1, is_verified=True, goal=0.95)
    yield scan(data, size, threads=2, is_verified=False, goal=0.90)
    yield random_clips(data, size)
    yield batches(data, size)
    yield open_parts(folder / "many", size)


def make_data(folder: Path, size: Size) -> Data:
    """Clips of 1 to 120 tokens, a store of some parts and one raw file of the same bytes."""
    rng = np.random.default_rng(0)
    store = Store.create(folder / "features")
    recipe = store.add_recipe("bench", RECIPE)
    tokens = []
    while len(tokens) < size.parts:
        lengths = rng.integers(1, 121, size=size.part_bytes // (DIM * 2 * 60))
        values = rng.standard_normal((int(lengths.sum()), DIM), dtype=np.float32)
        part = Ragged(values.astype(np.float16), offsets_of(lengths))
        with PartWriter(recipe.path, RECIPE) as writer:
            for clip, array in enumerate(part):
                writer.add(f"clip-{len(tokens)}-{clip:06d}", {"video": array}, source="0" * 16)
        tokens.append((writer.committed, part))
    tokens.sort(key=lambda pair: str(pair[0]))  # the order of the store
    whole = Ragged(
        np.concatenate([part.values for _, part in tokens]),
        offsets_of(np.concatenate([part.lengths for _, part in tokens])),
    )
    whole.values.tofile(folder / "raw.bin")
    mapped = np.memmap(folder / "raw.bin", np.float16, "r").reshape(-1, DIM)
    recipe.refresh()
    assert np.array_equal(recipe.read("video").values, mapped)
    return Data(store.path, mapped, whole, list(recipe.ids))


def scan(data: Data, size: Size, *, threads: int, is_verified: bool, goal: float) -> Figure:
    """Everything into RAM; without ``is_verified`` every checksum is compared again each time."""
    folder = RecipeFolder(data.folder / "bench")

    def theirs() -> None:
        out = np.empty(data.mapped.shape, np.float16)
        out[:] = data.mapped

    def ours() -> None:
        folder.read("video", threads=threads)

    def forget() -> None:
        for path in folder.part_paths:
            layout = folder.parts.open(path).layout("video")
            layout.is_verified, layout.is_trusted = bytearray(len(layout.crcs)), False

    theirs(), ours()
    ratios, seconds, cpu_seconds = [], 0.0, 0.0
    for _ in range(size.pairs):
        if not is_verified:
            forget()
        raw, cpu = timed(theirs), time.process_time()
        wall = timed(ours)
        ratios.append(raw / wall)
        seconds, cpu_seconds = seconds + wall, cpu_seconds + time.process_time() - cpu
    name = f"warm scan, {threads} thread{'s' * (threads > 1)}{'' if is_verified else ' with crc'}"
    speed, cores = size.pairs * data.mapped.nbytes / seconds / 1e9, cpu_seconds / seconds
    ratio = statistics.median(ratios)
    return figure(name, ratio, "of raw map", goal, GB_per_second=speed, cores=cores)


def random_clips(data: Data, size: Size) -> Figure:
    """One clip by its id, against the same rows of the raw map; medians of single reads."""
    folder = RecipeFolder(data.folder / "bench")
    folder.read("video")
    rows = {clip_id: clip for clip, clip_id in enumerate(data.ids)}
    starts = data.tokens.offsets.tolist()
    drawn = np.random.default_rng(1).integers(len(data.ids), size=size.clips)
    ours, theirs = [], []
    for clip in drawn:
        clip_id = data.ids[clip]
        began = time.perf_counter_ns()
        folder.read("video", [clip_id])
        middle = time.perf_counter_ns()
        row = rows[clip_id]
        np.array(data.mapped[starts[row] : starts[row + 1]])
        ended = time.perf_counter_ns()
        ours.append(middle - began)
        theirs.append(ended - middle)
    p50, raw = statistics.median(ours), statistics.median(theirs)
    return figure("one random clip, p50", p50 / raw, "x raw map", 1.2, microseconds=p50 / 1e3)


def batches(data: Data, size: Size) -> Figure:
    """Shuffled batches of 64 clips, against the same loop over the tokens in RAM."""
    folder = RecipeFolder(data.folder / "bench")
    folder.read("video")
    ratios = []
    for epoch in range(size.epochs):
        drawn = np.random.default_rng(epoch).permutation(len(data.ids))
        for start in range(0, len(drawn) - 63, 64):
            clips = drawn[start : start + 64].tolist()
            ids = [data.ids[clip] for clip in clips]
            in_ram = timed(lambda clips=clips: take(data.tokens, clips))
            ratios.append(in_ram / timed(lambda ids=ids: folder.read("video", ids)))
    return figure("shuffled batches of 64", statistics.median(ratios), "of RAM", 0.70)


def take(tokens: Ragged, clips: list[int]) -> Ragged:
    """The fastest way in numpy: slices copied into one array."""
    offsets = offsets_of(tokens.lengths[clips])
    values = np.empty((offsets[-1], tokens.width), tokens.values.dtype)
    for place, clip in enumerate(clips):
        values[offsets[place] : offsets[place + 1]] = tokens[clip]
    return Ragged(values, offsets)


def open_parts(folder: Path, size: Size) -> Figure:
    """From the path of a store of many parts to all of its clip ids."""
    store = Store.create(folder)
    recipe = store.add_recipe("bench", Recipe("bench", {"video": StreamSpec(2)}))
    tokens = np.ones((1, 2), np.float16)
    with patch("os.fsync"):  # 20,000 of them, which are not what is measured
        for part in range(size.opened_parts):
            with PartWriter(recipe.path, recipe.recipe) as writer:
                for clip in range(size.opened_clips):
                    clip_id = f"dia{part}_utt{clip}.mp4"
                    writer.add(clip_id, {"video": tokens}, source=f"{part:08x}{clip:08x}")
    clips = size.opened_parts * size.opened_clips

    def opened() -> None:
        assert len(Store(folder).ids("bench")) == clips

    cpu = time.process_time()
    seconds = [timed(opened) for _ in range(3)]
    cores = (time.process_time() - cpu) / sum(seconds)
    name = f"open {size.opened_parts} parts, {clips} clips"
    return figure(name, statistics.median(seconds), "s", 2.0, cores=cores)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def figure(what: str, value: float, unit: str, goal: float, **more: float) -> Figure:
    """A line of output; more is better in shares of something, less in all else."""
    is_reached = value >= goal if unit.startswith("of ") else value <= goal
    verdict = "ok" if is_reached else "short"
    numbers = {name: round(number, 3) for name, number in more.items()}
    return {"figure": what, "value": round(value, 4), "unit": unit, "goal": goal,
            "verdict": verdict, **numbers}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
