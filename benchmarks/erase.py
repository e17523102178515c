"""Erase one person's clips of a store of 100,000, scan every byte, and kill the erasure.

    python benchmarks/erase.py [--clips N] [--kills N] [--folder DIR]

Prints one JSON line a figure. The store has parts of 256 clips of 4 tokens of 64 numbers with
noise, an index, a pack beside it, and a run with lists, predictions and a ledger. The scan shares
no code with emo: it reads every byte below the folder and looks for the ids and for each token of
the person that no other clip has. Each kill is a SIGKILL at a random moment of the changes; then
the same command runs to its end, and every other clip is compared with its tokens from before.
"""

import argparse
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np

from emo.store import PartWriter, Recipe, Store, StreamSpec
from emo.store.exchange.pack import pack
from emo.store.maintain.index import make_index

PERSONS, TOKENS, WIDTH, PART_CLIPS = 100, 4, 64, 256
GONE = "spk0007"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kill-clips", type=int, default=2_000, help="size of the killed store")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    arguments = parser.parse_args()
    is_wrong = False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-erase-") as folder:
        figures = chain(
            once(Path(folder) / "once", arguments.clips),
            killed(Path(folder), arguments.kill_clips, arguments.kills),
        )
        for figure in figures:
            is_wrong |= bool(figure.get("hits") or figure.get("lost"))
            print(json.dumps(figure), flush=True)
    return int(is_wrong)


def once(home: Path, clips: int) -> Iterator[dict[str, object]]:
    fill(home, clips)
    secret, before = facts(home)
    found = scan(home, secret)
    yield {"clips": clips, "files that hold the person before": len(found)}
    began = time.perf_counter()
    done = subprocess.run(command(home), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    size_bytes = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    yield {"seconds": round(seconds, 1), "peak_MiB": peak, "exit": done.returncode,
           "MB": round(size_bytes / 1e6), "said": done.stdout.splitlines()[:3]}  # fmt: skip
    yield {"ids": len(secret[0]), "tokens": len(secret[1]), "hits": len(scan(home, secret)),
           "lost": lost(home, before)}  # fmt: skip


def killed(home: Path, clips: int, kills: int) -> Iterator[dict[str, object]]:
    fill(home / "full", clips)
    secret, before = facts(home / "full")
    shutil.copytree(home / "full", home / "try")
    whole, draw = 0.0, random.Random(21)
    wrong = changed = ended = 0
    for kill in range(-1, kills):  # the first is not killed: it says how long the changes take
        shutil.rmtree(home / "try")
        shutil.copytree(home / "full", home / "try")
        process = subprocess.Popen(command(home / "try"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        while process.poll() is None and not pending(home / "try"):
            time.sleep(0.002)
        if kill < 0:
            began = time.perf_counter()
            process.wait()
            whole = time.perf_counter() - began
            continue
        time.sleep(draw.uniform(0, whole))
        ended += process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        changed += pending(home / "try")
        wrong += lost(home / "try", before, is_whole=False)
        done = subprocess.run(command(home / "try"), capture_output=True, check=False)
        wrong += done.returncode != 0
        wrong += bool(scan(home / "try", secret)) + lost(home / "try", before)
    yield {"kills": kills, "in the middle of the changes": changed, "ended before": ended,
           "lost": wrong}  # fmt: skip


def pending(home: Path) -> bool:
    return bool(list((home / "features" / ".erased").glob("pending-*")))


def command(home: Path) -> list[str]:
    return [sys.executable, "-m", "emo", "store", "erase", str(home / "features"), "--ids",
            str(home.parent / f"{home.name}.txt"), "--runs", str(home / "runs")]  # fmt: skip


def fill(home: Path, clips: int) -> None:
    """A store, an index, a pack, a run; and beside ``home`` the list of ids to erase."""
    rng = np.random.default_rng(21)
    recipe = Recipe("bench", {"video": StreamSpec(WIDTH)})
    folder = Store.create(home / "features").add_recipe("bench", recipe)
    names = [f"spk{k % PERSONS:04}_clip{k:08}" for k in range(clips)]
    common = rng.normal(size=(1, WIDTH))  # a token that all persons have
    with patch("os.fsync"):
        for start in range(0, clips, PART_CLIPS):
            with PartWriter(folder.path, recipe) as part:
                for name in names[start : start + PART_CLIPS]:
                    tokens = np.concatenate([common, rng.normal(size=(TOKENS - 1, WIDTH))])
                    part.add(name, {"video": tokens}, source="0" * 16)
    make_index(folder, progress=False)
    run = home / "runs" / "first"
    run.mkdir(parents=True)
    pack(home / "features", home / "runs" / "all.zip")
    (run / "run.json").write_text("{}")
    (run / "clips.csv").write_text("id,split,init\n" + "".join(f"{n},train,\n" for n in names))
    (run / "predictions.csv").write_text("id,p_joy\n" + "".join(f"{n},0.5\n" for n in names))
    line = json.dumps({"clips": "0" * 16, "ids": names})
    (run.parent / ".test-scorings.jsonl").write_text(f"\n{line}\n")
    gone = [name for name in names if name.startswith(GONE)]
    for target in (home.name, "try"):
        (home.parent / f"{target}.txt").write_text("\n".join(gone) + "\n")


Secret = tuple[list[bytes], set[bytes]]


def facts(home: Path) -> tuple[Secret, dict[str, bytes]]:
    """Ids and tokens of the person that no other clip has, and the tokens of all other clips."""
    folder = Store(home / "features").recipes["bench"]
    ids = list(folder.ids)
    tokens = folder.read("video", ids)
    own: set[bytes] = set()
    others: dict[str, bytes] = {}
    for index, name in enumerate(ids):
        if name.startswith(GONE):
            own.update(bytes(row.tobytes()) for row in tokens[index])
        else:
            others[name] = tokens[index].tobytes()
    width = WIDTH * 2
    shared = {
        data[at : at + width] for data in others.values() for at in range(0, len(data), width)
    }
    gone = [name.encode() for name in ids if name.startswith(GONE)]
    return (gone, own - shared), others


def scan(home: Path, secret: Secret) -> set[str]:
    """Files in which an id or a token stands, at any byte."""
    ids, tokens = set(secret[0]), secret[1]
    starts = {token[:4] for token in tokens}
    table = np.zeros(2**16, bool)  # by the first two bytes of a token, then the next two
    table[[int.from_bytes(start[:2], "little") for start in starts]] = True
    found = set()
    for path in home.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        at = data.find(GONE.encode())
        while at >= 0 and path.name not in found:
            if data[at : at + len(secret[0][0])] in ids:
                found.add(path.name)
            at = data.find(GONE.encode(), at + 1)
        whole = np.frombuffer(data, np.uint8).astype(np.uint16)
        pairs = whole[:-1] | (whole[1:] << 8)
        for position in np.flatnonzero(table[pairs]).tolist() if len(data) > 1 else ():
            if data[position : position + 4] in starts and (
                data[position : position + WIDTH * 2] in tokens
            ):
                found.add(path.name)
                break
    return found


def lost(home: Path, before: dict[str, bytes], *, is_whole: bool = True) -> int:
    """Other clips whose tokens are gone or changed; others than those that are there."""
    folder = Store(home / "features").recipes["bench"]
    ids = [name for name in folder.ids if not name.startswith(GONE)]
    tokens = folder.read("video", ids)
    same = sum(before.get(name) == tokens[index].tobytes() for index, name in enumerate(ids))
    wrong = len(before) - same
    for name in ("clips.csv", "predictions.csv") if is_whole else ():
        rows = (home / "runs" / "first" / name).read_text().splitlines()[1:]
        wrong += {row.partition(",")[0] for row in rows} != before.keys()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
