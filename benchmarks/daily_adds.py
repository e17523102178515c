"""A manifest of millions that grows by a day: planning it, and the time to the first new clip.

    python benchmarks/daily_adds.py [--quick] [--folder DIR]

Prints one JSON line a figure: planning 2,000,000 text rows in Parquet for an empty store
(`emo extract --dry-run`), and adding 1,000 rows to a store of 1,000,000 clips with an index, until
the first new clip is prepared. Seconds are those of the whole process, from its start, with its
imports; "cpu" are its processor seconds, which count on a busy machine; peak_MiB is its largest
memory. The backbone is one of a single number a clip, so that what is measured is bookkeeping.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np

from emo.extract.backbone import Backbone, Prepared
from emo.extract.decode.source import source_hash
from emo.extract.media import Media, Needs
from emo.manifest import Clip
from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.maintain.index import make_index

Figure = dict[str, object]
PART_CLIPS = 4096
NAME = "benchmarks.daily_adds:Length"
FIRST = "EMO_FIRST_CLIP"


@dataclass(frozen=True)
class NoOptions:
    pass


class Length(Backbone):
    """One token, the number of letters; it ends the process when it gets its first clip."""

    Options = NoOptions

    options = NoOptions()

    @classmethod
    def needs(cls, options: Any) -> Needs:
        return Needs(text=True)

    @classmethod
    def recipe(cls, options: Any) -> Recipe:
        return Recipe(NAME, {"text": StreamSpec(1, "float32")}, {})

    @classmethod
    def tokens(cls, options: Any, seconds: float) -> dict[str, float]:
        return {"text": 1.0}

    @classmethod
    def load(cls, options: Any, *, device: str) -> Self:
        return cls()

    @classmethod
    def tiny(cls) -> Self:
        return cls()

    def prepare(self, media: Media) -> Prepared:
        if path := os.environ.get(FIRST):
            Path(path).write_text(f"{time.time()} {resource_mib(resource.RUSAGE_SELF)}")
            os._exit(0)
        return Prepared({"text": np.full((1, 1), len(media.text or ""), np.float32)}, {})

    def encode(self, clips: list[Any]) -> list[dict[str, np.ndarray]]:
        return clips


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the clips")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    arguments = parser.parse_args()
    share, is_short = 20 if arguments.quick else 1, False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-adds-") as folder:
        home = Path(folder)
        for make, clips in ((planning, 2_000_000 // share), (adding, 1_000_000 // share)):
            figure = make(home, clips)
            is_short |= figure["verdict"] == "short"
            print(json.dumps(figure), flush=True)
    return int(is_short)


def planning(home: Path, rows: int) -> Figure:
    write_manifest(home / "m.parquet", rows)
    words = ["m.parquet", "--out", "none", "--dry-run"]
    return measured(f"plan {rows:,} rows", home, words, seconds=60, mib=1500)


def adding(home: Path, clips: int) -> Figure:
    fill(home / "features", clips)
    write_manifest(home / "grown.parquet", clips + 1000)
    first = home / "first"
    words = ["grown.parquet", "--out", "features"]
    name = f"add 1,000 clips to {clips:,}, until the first is prepared"
    return measured(name, home, words, seconds=15, mib=1000, first=first)


def measured(
    name: str,
    home: Path,
    words: list[str],
    *,
    seconds: float,
    mib: float,
    first: Path | None = None,
) -> Figure:
    environment = {**os.environ, **({FIRST: str(first)} if first else {})}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    began, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "emo", "extract", *words, "--backbone", NAME]
    process = subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)  # fmt: skip
    peak = 0
    while process.poll() is None and not (first and first.exists() and first.read_text()):
        peak = max(peak, tree_mib(process.pid))
        time.sleep(0.05)
    took = time.time() - began
    if first:
        process.kill()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    is_short = took > seconds or peak > mib
    return {"name": name, "seconds": round(took, 1), "cpu": round(cpu, 1), "peak_MiB": peak,
            "goal": f"{seconds} s, {mib} MiB",
            "verdict": "short" if is_short else "ok"}  # fmt: skip


def tree_mib(pid: int) -> int:
    """Peak memory of a process and its children, each alone; the largest."""
    found = 0
    for each in [pid, *children(pid)]:
        try:
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
        except OSError:
            continue
        found = max([found, *(int(x.split()[1]) // 1024 for x in lines if x.startswith("VmHWM"))])
    return found


def children(pid: int) -> list[int]:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(word) for word in words]


def resource_mib(who: int) -> int:
    return resource.getrusage(who).ru_maxrss // 1024


def row(k: int) -> tuple[str, str]:
    return f"dia{k // 20}_utt{k % 20}", f"so it goes number {k} of many"


def write_manifest(path: Path, rows: int) -> None:
    import pyarrow
    import pyarrow.parquet

    ids, texts = zip(*map(row, range(rows)), strict=True)
    table = {"id": ids, "text": texts, "split": ["train"] * rows,
             "emotion": [("joy", "anger", "sadness")[k % 3] for k in range(rows)]}  # fmt: skip
    pyarrow.parquet.write_table(pyarrow.table(table), path)


def fill(path: Path, clips: int) -> None:
    recipe = Length.recipe(NoOptions())
    folder = Store.create(path).add_recipe("Length", recipe)
    tokens = {"text": np.ones((1, 1), np.float32)}
    hashed: Callable[[Clip], str] = lambda clip: source_hash(clip, path.parent)  # noqa: E731
    with patch("os.fsync"):
        for start in range(0, clips, PART_CLIPS):
            with PartWriter(folder.path, recipe) as part:
                for k in range(start, min(start + PART_CLIPS, clips)):
                    clip = Clip(row(k)[0], text=row(k)[1], split="train")
                    part.add(clip.id, tokens, source=hashed(clip))
    make_index(folder, progress=False)


if __name__ == "__main__":
    sys.exit(main())
