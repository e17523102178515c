"""Heads against the usual loop, and against their goals, on workload M (see heads_workload.py).

    python benchmarks/heads.py [ROW ...] [--quick] [--share S] [--threads N] [--folder DIR]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short; with
wall and processor seconds, and for our side ``floor_seconds``: the multiplications that the head
cannot do without at the measured speed of a float32 matrix product, and its tokens once through
memory; ``of_floor`` is the value over it, ``cpu_of_floor`` the processor seconds over those of one
thread's floor (on one thread a busy machine changes it little).
``cores`` is how much of the machine we got; below 2 others were busy, and ratios of processor
seconds (``cpu``) say more than the value. Two threads unless said, which wait as those of
`emo fit-head` do on a quiet machine: as torch lets them. ROWs: see ROWS below; none: all.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import heads_own
import heads_usual
import torch
from heads_bench import QUICK, Bench, Size
from heads_floor import measure_peak
from store import Figure

ROWS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "exp1": heads_own.exp1, "exp1-bf16": heads_own.exp1_bf16, "exp1-ratio": heads_usual.exp1_ratio,
    "exp1-best": heads_usual.exp1_best,
    "exp0-ratio": heads_usual.exp0_ratio, "joint": heads_own.joint,
    "linear": heads_own.linear, "search": heads_own.search,
    "bilstm": heads_own.bilstm, "cross_modal": heads_own.cross_modal,
    "mlstm_fcn": heads_own.mlstm_fcn, "shell": heads_own.shell,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", help="default: all")
    parser.add_argument("--quick", action="store_true", help="few clips, under a minute")
    parser.add_argument("--share", type=float, default=1.0, help="of M's clips that are not pooled")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    parser.add_argument("--threads", type=int, default=2, help="of torch; default: 2")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    is_short = False
    size = Size(share=arguments.share, f1_share=0.25 * arguments.share)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-bench-") as folder:
        bench = Bench(Path(folder), QUICK if arguments.quick else size, measure_peak())
        print(json.dumps(bench.peak.figure()), flush=True)
        for row in arguments.rows or ROWS:
            for line in ROWS[row](bench):
                is_short |= line["verdict"] == "short"
                print(json.dumps(line), flush=True)
    return int(is_short)


if __name__ == "__main__":
    sys.exit(main())
