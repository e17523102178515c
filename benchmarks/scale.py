"""A store of a million clips: opening it, indexing it, compacting it, planning for it.

    python benchmarks/scale.py [--quick] [--folder DIR]

Prints one JSON line a figure. The parts are synthetic: 100 clips of one token of two numbers each,
so that what is measured is the bookkeeping. "Cold" is a fresh process, after the kernel was told
to drop the pages of all files of the store (posix_fadvise); names and inodes stay cached. Seconds
count from ``Store(path)`` to the number of clips known and the tokens of one clip in memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.maintain.compact import compact
from emo.store.maintain.index import make_index
from emo.store.recipe_folder import RecipeFolder

Figure = dict[str, object]
PART_CLIPS = 100
OPEN = """
import sys, time
import numpy, emo.store
from emo.store import Store
began, cpu = time.perf_counter(), time.process_time()
store = Store(sys.argv[1])
clips = len(store.ids("bench"))
store.read("bench/video", [sys.argv[2]])
print(time.perf_counter() - began, time.process_time() - cpu, clips)
"""
PLAN = """
import json, sys, time
from pathlib import Path
from emo.extract.job.request import Job
from emo.extract.job.plan import make_plan
from emo.manifest import Clip

class Clips:  # made on demand: what a plan keeps of them is the plan's
    def __len__(self): return int(sys.argv[1])
    def __iter__(self):
        for start in range(0, len(self), 256): yield from self[start : start + 256]
    def __getitem__(self, places):
        return [Clip(f"dia{k // 20}_utt{k % 20}.mp4", video="v/0.mp4", text="so it goes")
                for k in range(*places.indices(len(self)))]

job = Job(root=Path(), store=Path("features"), requests=(), device="cpu")
def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

Path("/proc/self/clear_refs").write_text("5")  # the peak so far, of the imports, is forgotten
before = kilobytes("VmRSS")
began = time.perf_counter()
plan = make_plan(job, {"bench": None}, Clips(), part_clips=256)
seconds = time.perf_counter() - began
peak = kilobytes("VmHWM") - before
print(json.dumps([seconds, peak / 1024, len(plan.parts)]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="50,000 clips")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    arguments = parser.parse_args()
    is_short = False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-scale-") as folder:
        for figure in figures(Path(folder), 500 if arguments.quick else 10_000):
            is_short |= figure.get("verdict") == "short"
            print(json.dumps(figure), flush=True)
    return int(is_short)


def figures(folder: Path, parts: int) -> Iterator[Figure]:
    clips = parts * PART_CLIPS
    recipe = fill(folder, parts)
    plain = f"open {parts} parts without an index"
    yield figure(f"{plain}, warm", *opened(folder, clips, is_cold=False), goal=2.0, clips=clips)
    yield figure(f"{plain}, cold", *opened(folder, clips), clips=clips)
    wall = timed(lambda: make_index(recipe, progress=False))
    size_bytes = sum(file.stat().st_size for file in recipe.path.glob("index-*"))
    yield figure("make the index", wall, MB=round(size_bytes / 1e6, 1), clips=clips)
    name = f"open {parts} parts with an index, cold"
    yield figure(name, *opened(folder, clips), clips=clips)
    wall = timed(lambda: compact(recipe, progress=False))
    files = len(list(recipe.path.iterdir()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield figure("compact and index", wall, peak_MiB=round(peak))
    if clips >= 1_000_000:
        yield figure("files, compacted", files * 1e6 / clips, unit="per million clips", goal=200)
    for is_cold in (False, True):
        name = f"open compacted with an index, {'cold' if is_cold else 'warm'}"
        yield figure(name, *opened(folder, clips, is_cold=is_cold), goal=0.05, clips=clips)
    for planned in (clips // 10, clips):
        yield plan(planned)
    if clips >= 1_000_000:
        yield plan(10 * clips)


def fill(folder: Path, parts: int) -> RecipeFolder:
    recipe = Recipe("bench", {"video": StreamSpec(2)})
    made = Store.create(folder).add_recipe("bench", recipe)
    tokens = np.ones((1, 2), np.float16)
    with patch("os.fsync"):  # twice a part, which is not what is measured
        for part in range(parts):
            with PartWriter(made.path, recipe) as writer:
                for clip in range(PART_CLIPS):
                    source = f"{part:08x}{clip:08x}"
                    writer.add(f"dia{part}_utt{clip}.mp4", {"video": tokens}, source=source)
    made.refresh()
    return made


def opened(folder: Path, clips: int, *, is_cold: bool = True) -> tuple[float, float]:
    """Medians of five fresh processes: seconds, and seconds of the processor alone."""
    figures = []
    for turn in range(5):
        if is_cold:
            drop_pages(folder)
        command = [sys.executable, "-c", OPEN, str(folder), f"dia{turn + 1}_utt7.mp4"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        wall, cpu, found = done.stdout.split()
        assert int(found) == clips
        figures.append((float(wall), float(cpu)))
    wall, cpu = np.median(figures, axis=0).tolist()
    return wall, cpu


def drop_pages(folder: Path) -> None:
    os.sync()  # what is not written yet cannot be dropped
    for file in folder.rglob("*.zip"):
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def plan(clips: int) -> Figure:
    """A first plan, in a process of its own."""
    command = [sys.executable, "-c", PLAN, str(clips)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak, parts = json.loads(done.stdout)
    return figure(f"plan {clips} clips", seconds, peak_MiB=round(peak), parts=parts)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def figure(
    what: str,
    value: float,
    cpu_seconds: float | None = None,
    *,
    unit: str = "s",
    goal: float | None = None,
    **more: float,
) -> Figure:
    """A line of output; less is better. Without a goal nothing is judged."""
    verdict = {} if goal is None else {"goal": goal, "verdict": "ok" if value <= goal else "short"}
    cpu = {} if cpu_seconds is None else {"cpu_seconds": round(cpu_seconds, 4)}
    return {"figure": what, "value": round(value, 4), "unit": unit, **verdict, **cpu, **more}


if __name__ == "__main__":
    sys.exit(main())
