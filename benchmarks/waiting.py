"""How torch's threads wait: as in the commands, as libgomp lets them, and asleep at once.

    python benchmarks/waiting.py

An epoch of `joint`, B8, on a tenth of workload M (see heads_workload.py), two threads; in processes
of their own, with nobody else at work and beside two busy processes. Prints JSON lines: seconds of
an epoch, of the processor in it, and how many times the command's wall seconds that is.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

SHARE, EPOCHS = 0.1, 6
WAYS: dict[str, dict[str, str]] = {
    "as the commands": {"GOMP_SPINCOUNT": "3000"},
    "libgomp's own": {},
    "asleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
}
BUSY = "while True: pass"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="emo-bench-") as folder:
        for others in (0, 2):
            busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(others)]
            try:
                first = None
                for way, settings in WAYS.items():
                    wall, cpu = epoch_of(Path(folder), settings)
                    first = first or wall
                    figure = {
                        "figure": f"joint, an epoch, threads wait {way}", "busy processes": others,
                        "seconds": round(wall, 3), "cpu": round(cpu, 3),
                        "of the commands'": round(wall / first, 2),
                    }  # fmt: skip
                    print(json.dumps(figure), flush=True)
            finally:
                for process in busy:
                    process.kill()
                    process.wait()


def epoch_of(folder: Path, settings: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one, in a process in which threads wait so."""
    others = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    command = [sys.executable, __file__, str(folder)]
    done = subprocess.run(
        command, env={**others, "OMP_NUM_THREADS": "2", **settings}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu


def measure(folder: Path) -> None:
    """In the child: print the seconds of an epoch."""
    from heads_bench import EXP1, trained
    from heads_workload import make_workload

    from emo.heads.data import read_data

    workload = make_workload(folder / "pooled", share=SHARE, is_pooled=True)
    options = replace(
        EXP1, head="joint", head_options={}, target=("emotion", "cause"), batch_size=8,
        epochs=EPOCHS,
    )  # fmt: skip
    data = read_data(workload.manifest, [workload.features], options, unit="dialogue")
    trained(data, replace(options, epochs=1), seed=0)  # what is done once is not timed
    wall, cpu = time.perf_counter(), time.process_time()
    trained(data, options, seed=0)
    print((time.perf_counter() - wall) / EPOCHS, (time.process_time() - cpu) / EPOCHS)


if __name__ == "__main__":
    measure(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
