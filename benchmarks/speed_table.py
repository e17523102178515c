"""The table of speeds: what, now, goal, and whether it holds, from the other benchmarks.

    python benchmarks/speed_table.py [TABLE ...] [--quick] [--share S] [--threads N] [--clips DIR]

Runs heads.py, peers.py, store.py and extract.py (and seeking.py, where it is), one after the other,
and prints a line as soon as it is measured; first this machine. Run it when nobody else is at work;
else ``by cpu``, the same of processor seconds, says more where it is given. TABLE: heads, peers,
store, extract, seeking; none: all. DIR: real media for the naive loop, see extract.py. Exits 1 if
a row does not hold.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """A figure of another benchmark, and the goal of the table."""

    pattern: str
    """Of the figure's name."""
    goal: float
    key: str = "value"
    """Which number of its line."""
    cpu: str = ""
    """Which number of its line says the same of processor seconds."""
    is_more_better: bool = False
    unit: str = ""


FLOOR: dict[str, Any] = {"key": "of_floor", "cpu": "cpu_of_floor", "unit": "x floor"}
TABLES: dict[str, tuple[Row, ...]] = {
    "heads": (
        Row(r"exp1, 10 epochs .* fp32", 1.5, **FLOOR),
        Row(r"exp1, 10 epochs .* bf16", 1.4, **FLOOR),
        Row(r"exp1 B128 .* against", 20.0, cpu="cpu", is_more_better=True, unit="x"),
        Row(r"joint, an epoch", 0.5, cpu="cpu", unit="s"),
        Row(r"linear probe, fusion chosen", 2.0, cpu="cpu_ratio", unit="x"),
        Row(r"linear probe", 1.8, cpu="cpu", unit="s"),
        Row(r"(bilstm|cross_modal|mlstm_fcn), an epoch", 2.0, **FLOOR),
    ),
    "peers": (
        Row(r"MERBench.* 30-300 ", 1.5, cpu="cpu", is_more_better=True, unit="x"),
        Row(r"MERBench", 1.2, cpu="cpu", is_more_better=True, unit="x"),
    ),
    "store": (
        Row(r"warm scan, 2 threads with crc", 0.95, is_more_better=True, unit="of raw map"),
        Row(r"one random clip", 1.15, unit="x raw map"),
    ),
    "extract": (
        Row(r"naive loop against ours", 2.2, cpu="cpu", is_more_better=True, unit="x"),
    ),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tables", nargs="*", help="default: all")
    parser.add_argument("--quick", action="store_true", help="little data; says little")
    parser.add_argument("--share", type=float, default=0.2, help="of the clips of workload M")
    parser.add_argument("--threads", type=int, default=2, help="of torch, for heads and peers")
    parser.add_argument("--clips", type=Path, help="a folder of real media")
    arguments = parser.parse_args()
    print("| what | now | by cpu | goal | holds |\n|---|---|---|---|---|", flush=True)
    failed = False
    for table in arguments.tables or (*TABLES, "seeking"):
        for command in commands(table, arguments):
            for line in figures(command):
                text, holds = table_line(table, line)
                failed |= not holds
                print(text, flush=True)
    return int(failed)


def commands(table: str, arguments: argparse.Namespace) -> list[list[str]]:
    """What is run for a table."""
    script = HERE / f"{table}.py"
    if not script.exists():
        return []
    quick = ["--quick"] if arguments.quick else []
    threads = ["--threads", str(arguments.threads)]
    clips = [str(arguments.clips)] if arguments.clips else []
    heads = [
        "exp1",
        "exp1-bf16",
        "exp1-best",
        "joint",
        "linear",
        "bilstm",
        "cross_modal",
        "mlstm_fcn",
    ]
    more = {
        "heads": [*heads, "--share", str(arguments.share), *threads, *quick],
        "peers": ["merbench-lstm", *threads, *quick],
        "store": ["--small"] if arguments.quick else [],
        "extract": [*clips, "--rows", "naive", *quick],
        "seeking": [],
    }[table]  # fmt: skip
    return [[sys.executable, str(script), *more]]


def figures(command: list[str]) -> Iterator[dict[str, Any]]:
    """Lines of JSON that a benchmark prints; its exit status says only that a row is short."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith("{"):
                yield json.loads(text)


def table_line(table: str, line: dict[str, Any]) -> tuple[str, bool]:
    """A line of the table, and whether it holds; other figures have goals of their own."""
    name = str(line["figure"])
    if name == "this machine":
        kind = "bf16 instructions" if line["has_bf16"] else "no bf16 instructions"
        found = f"{line['value']} {line['unit']}, {line['bf16_GFLOP_per_second']} in bf16 ({kind})"
        return f"| {name} | {found} | | | |", True
    row = next((row for row in TABLES.get(table, ()) if re.match(row.pattern, name)), None)
    if row is None:
        value, goal = line.get("value"), line.get("goal", "")
        is_reached = line.get("verdict") != "short"
        return f"| {name} | {value} {line.get('unit', '')} | | {goal} | {_yes(is_reached)} |", True
    value, cpu = float(line[row.key]), line.get(row.cpu)
    is_reached = value >= row.goal if row.is_more_better else value <= row.goal
    sign = "≥" if row.is_more_better else "≤"
    by_cpu = "" if cpu is None else f"{cpu:.2f}"
    return (
        f"| {name} | {value:.2f} {row.unit} | {by_cpu} | {sign} {row.goal} | {_yes(is_reached)} |",
        is_reached,
    )


def _yes(is_reached: bool) -> str:
    return "yes" if is_reached else "no"


if __name__ == "__main__":
    sys.exit(main())
