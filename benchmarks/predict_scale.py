"""Predict 20,000 and 200,000 clips into Parquet parts: seconds, memory, growth; kill and resume.

    python benchmarks/predict_scale.py [--clips 20000 200000] [--kills 10] [--workers 2]

Prints one JSON line a figure. A clip has 32 tokens of 384 float16 numbers, as of a video encoder.
Each call of `emo predict` is a process of its own; memory is its largest resident set (mapped pages
included), seconds are of the whole process. The resumed run is killed by SIGKILL at random
moments; afterwards every clip must be there once, and the parts must equal those of an
uninterrupted run. The same holds of a call with several workers, of which one is killed while it
has a part in hand. `make ray` shows a node of a Ray cluster that is lost.
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from emo.errors import EmoError
from emo.extract.job.folder import open_job
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import Clip, Manifest
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.maintain.index import make_index

Figure = dict[str, object]
TOKENS, WIDTH, PART_CLIPS = 32, 384, 500
MEMORY_GOAL, EXPONENT_GOAL = 1.1, 1.05
CLASSES = ("anger", "calm", "joy")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    parser.add_argument("--head", default="attention_pool")
    arguments = parser.parse_args()
    is_short = False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-predict-") as folder:
        for figure in figures(Path(folder), arguments):
            is_short |= figure.get("verdict") == "short"
            print(json.dumps(figure), flush=True)
    return int(is_short)


def figures(folder: Path, arguments: argparse.Namespace) -> Iterator[Figure]:
    largest = max(arguments.clips)
    fill(folder / "features", largest)
    make_run(folder, arguments.head)
    results = []
    for clips in arguments.clips:
        manifest(folder, clips)
        cost = predicted(folder, clips, f"p{clips}")
        results.append((clips, cost))
        yield {"what": "predict", "clips": clips, **cost}
        yield {"what": "repeat", "clips": clips, **predicted(folder, clips, f"p{clips}")}
    (few, first), (many, last) = results[0], results[-1]
    if many > few:
        for name in ("seconds", "processor_seconds"):
            exponent = math.log(last[name] / first[name]) / math.log(many / few)
            yield goal(f"exponent of {name}", exponent, EXPONENT_GOAL)
        yield goal("growth of peak memory", last["peak_MiB"] / first["peak_MiB"], MEMORY_GOAL)
    yield killed(folder, few, first["seconds"], arguments.kills)
    yield worker_killed(folder, few, arguments.workers)


def goal(what: str, value: float, most: float) -> Figure:
    verdict = "met" if value <= most else "short"
    return {"what": what, "value": round(value, 3), "goal": most, "verdict": verdict}


def fill(path: Path, clips: int) -> None:
    """Write a store of clips ``c0``, ``c1`` …, and its index."""
    recipe = Recipe("bench", {"video": StreamSpec(WIDTH)})
    folder = Store.create(path).add_recipe("bench", recipe)
    random_numbers = np.random.default_rng(0)
    block = random_numbers.standard_normal((PART_CLIPS * TOKENS, WIDTH)).astype(np.float16)
    with patch("os.fsync"):
        for start in range(0, clips, PART_CLIPS):
            with PartWriter(folder.path, recipe) as part:
                for clip in range(start, min(start + PART_CLIPS, clips)):
                    row = (clip - start) * TOKENS
                    tokens = block[row : row + TOKENS] + np.float16(clip % 97 / 97)
                    part.add(f"c{clip}", {"video": tokens}, source=f"{clip:016x}")
    make_index(Store(path).recipes["bench"], progress=False)


def make_run(folder: Path, head: str) -> None:
    """Fit a head on a few clips; what it learns does not matter here."""
    clips = tuple(
        Clip(f"c{k}", text="x", split="train" if k < 200 else "val",
             targets={"label": CLASSES[k % 3]})
        for k in range(300)
    )  # fmt: skip
    given = Manifest(path=Path("m.csv"), root=Path(), clips=clips, sha256="0" * 64)
    options = FitOptions.of(head=head, threads=1, epochs=3)
    fit_head(given, [folder / "features"], folder / "run", options)


def manifest(folder: Path, clips: int) -> None:
    ids = [f"c{clip}" for clip in range(clips)]
    table = pyarrow.table({"id": ids, "text": ["x"] * clips})
    pyarrow.parquet.write_table(table, folder / f"m{clips}.parquet", row_group_size=50_000)


def command(folder: Path, clips: int, out: str) -> list[str]:
    return [
        sys.executable, "-m", "emo", "predict", str(folder / "run"), "--manifest",
        str(folder / f"m{clips}.parquet"), "--features", str(folder / "features"), "--out",
        f"{folder / out}/",
    ]  # fmt: skip


def predicted(folder: Path, clips: int, out: str) -> dict[str, float]:
    """Return seconds and the largest resident set in MiB of one call of `emo predict`."""
    began = time.perf_counter()
    process = subprocess.Popen(command(folder, clips, out), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"emo predict failed with status {status}")
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_MiB": round(usage.ru_maxrss / 1024, 1),
    }


def killed(folder: Path, clips: int, seconds: float, kills: int) -> Figure:
    """Kill a run at random moments, end it, and compare with the uninterrupted one."""
    draw, out = random.Random(0), f"k{clips}"
    for _ in range(kills):
        process = subprocess.Popen(command(folder, clips, out), stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.1, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    predicted(folder, clips, out)
    return compared(folder, clips, out, "killed and resumed", {"kills": kills})


def worker_killed(folder: Path, clips: int, workers: int) -> Figure:
    """Kill one of several workers while it has a part in hand, and compare the parts."""
    out, began = f"w{clips}", time.perf_counter()
    words = [*command(folder, clips, out), "--workers", str(workers)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    kills = 0
    while process.poll() is None and not kills:
        with suppress(EmoError):  # there is no job folder yet
            for journal in open_job(folder / out).journals().values():
                for by in list(journal.in_hand())[: 1 - kills]:
                    os.kill(int(by.split("/")[1].partition(".")[0]), signal.SIGKILL)
                    kills += 1
        time.sleep(0.02)
    status = process.wait()
    facts = {"workers": workers, "kills": kills, "status": status,
             "seconds": round(time.perf_counter() - began, 2)}  # fmt: skip
    return compared(folder, clips, out, "worker killed", facts, is_right=kills == 1 and not status)


def compared(
    folder: Path, clips: int, out: str, what: str, facts: Figure, *, is_right: bool = True
) -> Figure:
    """Compare parts with those of an uninterrupted run; every clip must be there once."""
    whole, resumed = (parts_of(folder / name) for name in (f"p{clips}", out))
    ids = pd.concat(
        [pd.read_parquet(path, columns=["id"]) for path in resumed.values()], ignore_index=True
    )["id"]
    is_right &= (
        len(ids) == clips
        and ids.is_unique
        and {name: path.read_bytes() for name, path in whole.items()}
        == {name: path.read_bytes() for name, path in resumed.items()}
    )
    verdict = "met" if is_right else "short"
    return {"what": what, **facts, "clips": len(ids), "verdict": verdict}


def parts_of(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.glob("run=*/*.parquet")}


if __name__ == "__main__":
    raise SystemExit(main())
