"""Two checkouts of emo, command by command, in turns on one machine: is the newer one slower?

    git worktree add ../emo-0.1 60d7616
    python benchmarks/versions.py ../emo-0.1 . [--repeats 5] [ROW ...]

Each command runs in a fresh process of this Python with the one or the other checkout before all
on its path, old and new in turns, so that both meet the same load. A line a row: median wall
seconds of both and their ratio, processor seconds (with all children) and their ratio, largest
resident memory and its ratio. A row is ``slower`` if the wall and the processor ratio of the
medians both exceed 1.05; exit code 1 if one is. Data are 48 synthetic clips and their features,
which the old checkout makes. Larger fits and stores: heads.py and store.py in each checkout.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SLOWER = 1.05


@dataclass(frozen=True)
class Spent:
    """What one run of a command took."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


ROWS = {
    "help": "-m emo --help",
    "import": "-c 'import emo'",
    "list": "-m emo list heads",
    "store-ls": "-m emo store ls {data}/features",
    "verify": "-m emo store verify {data}/features",
    "extract-classic": "-m emo extract {data}/data/manifest.csv --backbone classic --out {new}/f",
    "extract-logmel": "-m emo extract {data}/data/manifest.csv --backbone logmel --out {new}/f",
    "extract-again": "-m emo extract {data}/data/manifest.csv --backbone logmel"
    " --out {data}/own-{side}",
    "fit-linear": "-m emo fit-head {data}/data/manifest.csv --features {data}/features"
    " --head linear -o fusion=late --out {new}/run",
    "fit-mean-pool": "-m emo fit-head {data}/data/manifest.csv --features {data}/features"
    " --head mean_pool --out {new}/run",
    "fit-bilstm": "-m emo fit-head {data}/data/manifest.csv --features {data}/features"
    " --head bilstm --epochs 5 --out {new}/run",
    "predict": "-m emo predict {data}/run-{side} --text 'so happy'",
    "compare": "-m emo compare {data}/run-{side} {data}/run-{side}",
}
"""Row -> arguments of Python. {data}: read by both; {new}: an empty folder; {side}: old or new."""


def run(checkout: Path, words: str) -> Spent:
    """Run one command with a checkout before all on the path.

    Raises:
        SystemExit: the command fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "2"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    process = subprocess.Popen(
        f"exec {sys.executable} {words}", shell=True, env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, cwd="/",  # `python -m` takes the current folder before the path
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{checkout}: {words}\n{said.decode(errors='replace')[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(wall, cpu, used.ru_maxrss / 1024)


def version_of(checkout: Path) -> str:
    """Return the version that a checkout's command says."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    words = [sys.executable, "-c", "import emo; print(emo.__version__, emo.__file__)"]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, cwd="/")
    if said.returncode or str(checkout.resolve()) not in said.stdout:
        raise SystemExit(
            f"{checkout}: its emo is not the one that runs: {said.stdout}{said.stderr}"
        )
    return said.stdout.split()[0]


def prepare(old: Path, sides: dict[str, Path], data: Path) -> None:
    """Make clips, features and runs that the rows read."""
    run(old, f"-m emo demo --out {data} --clips 2")
    for side, checkout in sides.items():
        manifest = f"{data}/data/manifest.csv"
        run(checkout, f"-m emo extract {manifest} --backbone logmel --out {data}/own-{side}")
        # tokens of its own: 0.2 does not repeat a recipe of 0.1 for a new clip
        run(checkout, f"-m emo extract {manifest} --backbone classic --out {data}/own-{side}")
        fit = f"-m emo fit-head {manifest} --features {data}/own-{side} --head linear"
        run(checkout, f"{fit} -o fusion=late --out {data}/run-{side}")


def main() -> int:
    """Time each row in turns and print a table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("rows", nargs="*", help=f"default: all of {', '.join(ROWS)}")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    sides = {"old": arguments.old, "new": arguments.new}
    for side, checkout in sides.items():
        print(f"{side}: {checkout}, emo {version_of(checkout)}")
    is_slower = False
    print(f"{'row':16} {'old s':>7} {'new s':>7} {'ratio':>6} {'cpu':>6} {'memory':>6}")
    with tempfile.TemporaryDirectory(prefix="emo-versions-") as folder:
        data, empty = Path(folder) / "data", Path(folder) / "new"
        prepare(arguments.old, sides, data)
        for row in arguments.rows or ROWS:
            spent: dict[str, list[Spent]] = {"old": [], "new": []}
            for turn in range(arguments.repeats + 1):
                for side in sorted(sides, reverse=turn % 2 == 0):
                    shutil.rmtree(empty, ignore_errors=True)
                    empty.mkdir()
                    words = ROWS[row].format(data=data, new=empty, side=side)
                    found = run(sides[side], words)
                    if turn:  # the first turn fills caches of files and bytecode
                        spent[side].append(found)
            old, new = (_median(spent[side]) for side in ("old", "new"))
            wall, cpu = new.wall_seconds / old.wall_seconds, new.cpu_seconds / old.cpu_seconds
            slower = wall > SLOWER and cpu > SLOWER
            is_slower |= slower
            print(
                f"{row:16} {old.wall_seconds:7.2f} {new.wall_seconds:7.2f} {wall:6.2f} {cpu:6.2f} "
                f"{new.peak_mb / old.peak_mb:6.2f}{'  slower' if slower else ''}",
                flush=True,
            )
    return int(is_slower)


def _median(spent: list[Spent]) -> Spent:
    """Return the medians of the runs of one row."""
    return Spent(
        statistics.median(each.wall_seconds for each in spent),
        statistics.median(each.cpu_seconds for each in spent),
        statistics.median(each.peak_mb for each in spent),
    )


if __name__ == "__main__":
    sys.exit(main())
