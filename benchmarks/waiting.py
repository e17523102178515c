"""How torch's threads wait, and what a second fit at the same time costs each of both.

    python benchmarks/waiting.py

An epoch of `attention_pool` (exp1: large steps) and of `joint` (B8: small ones) on shares of
workload M (see heads_workload.py): alone, and twice at once; on two threads that wait as libgomp
lets them, soon asleep (as the commands do beside others) or asleep at once, and on one thread.
Prints JSON lines: seconds of an epoch, of the processor in it, and how many times the seconds of
one thread alone that is.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEADS = {"attention_pool": 0.05, "joint": 0.1}
"""Share of M."""
WAYS: dict[str, dict[str, str]] = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two, libgomp's own": {"OMP_NUM_THREADS": "2"},
    "two, soon asleep": {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": "3000"},
    "two, asleep at once": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
}
VARIABLES = {name for settings in WAYS.values() for name in settings}
SECONDS = 4.0
"""That epochs are repeated for."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="emo-bench-") as folder:
        for head in HEADS:
            subprocess.run([sys.executable, __file__, "make", head, folder], check=True)
            first = None
            for fits in (1, 2):
                for way, settings in WAYS.items():
                    wall, cpu = epoch_of(head, folder, settings, fits)
                    first = first or wall
                    figure = {
                        "figure": f"{head}, an epoch", "threads": way, "fits at once": fits,
                        "seconds": round(wall, 3), "cpu": round(cpu, 3),
                        "of one thread alone": round(wall / first, 2),
                    }  # fmt: skip
                    print(json.dumps(figure), flush=True)


def epoch_of(head: str, folder: str, settings: dict[str, str], fits: int) -> tuple[float, float]:
    """Mean wall and processor seconds of the fits, in processes in which threads wait so."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES} | settings
    command = [sys.executable, __file__, "measure", head, folder]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(fits)
    ]
    told = [process.communicate()[0].split() for process in running]
    walls, cpus = zip(*((float(wall), float(cpu)) for wall, cpu in told), strict=True)
    return sum(walls) / fits, sum(cpus) / fits


def measure(head: str, folder: Path) -> None:
    """In the child: print the seconds of an epoch."""
    import torch
    from heads_bench import EXP1, builder
    from heads_workload import Workload

    from emo.heads.data.data import read_data
    from emo.heads.training.losses import make_loss
    from emo.heads.training.steps import Steps

    options = EXP1.replace(epochs=1000)
    if head == "joint":
        options = options.replace(
            head=head, head_options={}, target=("emotion", "cause"), batch_size=8
        )
    workload = Workload(folder / head, {})
    unit = "dialogue" if head == "joint" else "clip"
    data = read_data(workload.manifest, [workload.features], options, unit=unit)
    built = builder(options, data)()
    with torch.no_grad():
        train = built.pool(data.splits["train"].batch)
    steps = Steps(built, train, make_loss(train, options.loop), options.loop, seed=0)
    steps.epoch()  # what is done once is not timed
    walls, cpu = [time.perf_counter()], time.process_time()
    while walls[-1] - walls[0] < SECONDS:
        steps.epoch()
        walls.append(time.perf_counter())
    epochs = len(walls) - 1
    print((walls[-1] - walls[0]) / epochs, (time.process_time() - cpu) / epochs)


def make(head: str, folder: Path) -> None:
    from heads_workload import make_workload

    make_workload(folder / head, share=HEADS[head], is_pooled=head == "joint")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        {"make": make, "measure": measure}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
