"""The peers' own code beside ours: a ratio a row, or why a peer is not here.

    python benchmarks/peers.py [ROW ...] [--quick] [--threads N] [--clips FOLDER]

Prints one JSON line a row. Above 1 ours is faster: the value is the median over pairs that are
measured in turns, of the peer's wall time over ours; ``cpu`` is the same of processor seconds,
which says more on a busy machine. Both sides give equal results where the line says so. Peers are
no dependencies of emo: facenet-pytorch, librosa and scikit-learn are development packages, the
others are measured if they can be imported, else the line says why they are absent. ROWs: see ROWS
below; none: all. The readers of MMSA and of MERBench are held by tests (tests/store/interop).
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import peers_heads
import peers_media
import torch
from peers_pairs import Size
from store import Figure


@dataclass(frozen=True)
class Absent:
    """A peer that is not among the development packages."""

    package: str
    """What would be imported."""
    why: str
    measure: Callable[[Size], Iterator[Figure]] | None = None
    """What is measured if it can be imported; None: nothing."""


ROWS: dict[str, Callable[[Size], Iterator[Figure]] | Absent] = {
    "merbench-lstm": peers_heads.lstm,
    "scikit-learn": peers_heads.sklearn,
    "facenet-pytorch": peers_media.facenet,
    "librosa": peers_media.librosa,
    "torchcodec": Absent(
        "torchcodec", "its wheels need FFmpeg's libraries on the system", peers_media.torchcodec
    ),
    "decord": Absent("decord", "its last release is of 2021", peers_media.decord),
    "mmsa": Absent(
        "MMSA", "only its loaders meet ours, and they read our exports in tests"
    ),
    "s3prl": Absent(
        "s3prl", "runs the frozen model in each step: its time is that of the model, not of a head"
    ),
    "video_features": Absent(
        "video_features", "is a repository of scripts with environments, not a package"
    ),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", help="default: all")
    parser.add_argument("--quick", action="store_true", help="few clips and pairs")
    parser.add_argument("--threads", type=int, default=2, help="of torch; default: 2")
    parser.add_argument("--clips", type=Path, help="a folder of media for torchcodec and decord")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = Size(
        pairs=3 if arguments.quick else 7, share=0.25 if arguments.quick else 1.0,
        clips=arguments.clips,
    )  # fmt: skip
    is_short = False
    for name in arguments.rows or ROWS:
        for line in measured(name, size):
            is_short |= line["verdict"] == "short"
            print(json.dumps(line), flush=True)
    return int(is_short)


def measured(name: str, size: Size) -> Iterator[Figure]:
    """Lines of one row; of a peer that is not here why not."""
    row = ROWS[name]
    if not isinstance(row, Absent):
        yield from row(size)
    elif row.measure is not None and importlib.util.find_spec(row.package):
        yield from row.measure(size)
    else:
        yield {"figure": name, "value": None, "verdict": "absent", "why": row.why}


if __name__ == "__main__":
    sys.exit(main())
