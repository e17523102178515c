"""Questions about videos: memory of a fit on shared tokens, and the time of a step.

    python benchmarks/questions.py [--large]

Prints one JSON line a figure: what was measured, in which unit, the goal, and ok or short. Memory
is the peak of a process that writes no store: 1.3 times the distinct tokens as float32 and 1 GB.
A step is that of the same head on tokens of which every question has a copy; the processor time of
both is taken in turns on 512 questions, so that the copies fit into memory.

The usual size takes a minute and is a tenth; ``--large`` is that of MSR-VTT-QA: 1,500 answers,
150,000 questions on 10,000 clips with 32 × 768 tokens (0.98 GB). It takes minutes and 1 GB of disk.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emo.store import PartWriter, Recipe, Store, StreamSpec

DIM, TOKENS = 768, 32
MOST_SHARE, MOST_STEP = 1.3, 1.1
"""Goals: memory as a multiple of the distinct tokens, beside 1 GB; time of a step."""
STEP_ROWS, STEPS = 256, 15
HEADS = ("mean_pool", "attention_pool", "cross_modal")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clips: int = 1_000
    questions: int = 15_000
    answers: int = 1_500

    @property
    def token_bytes(self) -> int:
        """Bytes of the distinct tokens as float32."""
        return self.clips * TOKENS * DIM * 4


LARGE = Size(10_000, 150_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="the size of MSR-VTT-QA")
    parser.add_argument("--head", default="attention_pool", help="head whose memory is measured")
    parser.add_argument("--folder", help="where to put the data; default: the temporary folder")
    parser.add_argument("--fit", help=argparse.SUPPRESS)  # the measured process
    arguments = parser.parse_args()
    if arguments.fit:
        return fit(Path(arguments.fit), arguments.head)
    size, is_short = LARGE if arguments.large else Size(), False
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="emo-bench-") as name:
        folder = Path(name)
        make_data(folder, size)
        command = [sys.executable, __file__, "--fit", name, "--head", arguments.head]
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        peak = json.loads(done.stdout.splitlines()[-1])["peak_bytes"]
        goal = MOST_SHARE * size.token_bytes + 1e9
        is_short |= show(
            f"peak memory of a fit with {arguments.head}", "GB", peak / 1e9, goal / 1e9
        )
        show("seconds of an epoch and all scores", "s", seconds, None)
        for head in HEADS:
            ratio = step_ratio(folder, head)
            is_short |= show(f"step of {head}, shared / copied", "ratio", ratio, MOST_STEP)
    return int(is_short)


def show(what: str, unit: str, value: float, goal: float | None) -> bool:
    """Print a figure; return whether it is above its goal."""
    is_short = goal is not None and value > goal
    verdict = "" if goal is None else "short" if is_short else "ok"
    figure = {
        "figure": what, "unit": unit, "value": round(value, 3), "goal": goal and round(goal, 3),
        "verdict": verdict,
    }  # fmt: skip
    print(json.dumps(figure), flush=True)
    return is_short


def make_data(folder: Path, size: Size) -> None:
    """Write a manifest of questions, and a store of float16 tokens of the clips."""
    random = np.random.default_rng(0)
    recipe = Recipe("bench", {"video": StreamSpec(DIM)})
    path = Store.create(folder / "features").add_recipe("lb", recipe).path
    noise = random.standard_normal((TOKENS + 64, DIM)).astype(np.float16)
    for first in range(0, size.clips, 1000):
        with PartWriter(path, recipe) as part:
            for clip in range(first, min(first + 1000, size.clips)):
                start = clip % 64
                part.add(
                    f"v{clip}", {"video": noise[start : start + TOKENS] + np.float16(clip % 7)}
                )
    chosen = random.zipf(1.3, size.questions) % (2 * size.answers)
    words = ("what", "who", "how", "where", "when")
    with (folder / "q.csv").open("w") as file:
        file.write("id,text,clip,split,answer,question_word\n")
        for row in range(size.questions):
            clip = row % size.clips
            split = ("train",) * 8 + ("val", "test")
            word = words[row % len(words)]
            file.write(f"q{row},{word}?,v{clip},{split[clip % 10]},a{chosen[row]},{word}\n")


def fit(folder: Path, head: str) -> int:
    """Fit, score and write a run; print the peak of this process."""
    from emo.heads.fitting.fit import fit_head
    from emo.heads.options import FitOptions
    from emo.manifest import read_manifest

    options = FitOptions.of(
        head=head, streams=("lb/video@clip",), target="answer", tasks={"answer": "classify"},
        top_classes=1500, choose_by="accuracy", by_columns=("question_word",), epochs=1,
        batch_size=STEP_ROWS,
    )  # fmt: skip
    result = fit_head(
        read_manifest(folder / "q.csv"), [folder / "features"], folder / "run", options
    )
    print(result.table(), file=sys.stderr)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak}))
    return 0


def step_ratio(folder: Path, name: str) -> float:
    """Return the time of a step on shared tokens, divided by that on copies of them."""
    import torch

    from emo import plugins
    from emo.heads.data.streams import open_sources
    from emo.heads.head import Batch, Head
    from emo.heads.options import LoopOptions
    from emo.heads.training.losses import make_loss
    from emo.heads.training.pooling import pool_batch
    from emo.heads.training.steps import Steps
    from emo.manifest import read_manifest
    from emo.ragged import Ragged

    clips = read_manifest(folder / "q.csv").clips[: 2 * STEP_ROWS]
    (source,), _ = open_sources([folder / "features"], ["lb/video@clip"])
    found = source.read_clips(clips)
    assert found.index is not None
    tokens = Ragged(
        torch.from_numpy(found.values).float(), torch.from_numpy(found.offsets), found.index
    )
    copies = tokens.select(range(len(tokens)))
    labels = {"answer": torch.arange(len(clips)) % 1500}
    torch.set_num_threads(1)  # so that processor time is the time of a step
    kind = plugins.load(plugins.HEADS, name, Head)  # type: ignore[type-abstract]
    options, steps = LoopOptions(batch_size=STEP_ROWS), []
    for each in (tokens, copies):
        torch.manual_seed(0)
        head = kind({"v": DIM}, {"answer": 1500}, options=kind.Options())
        batch = pool_batch(head, Batch({"v": each}, targets=labels))
        steps.append(Steps(head, batch, make_loss(batch, options), options, seed=0))
    ratios = []
    for turn in range(STEPS):
        seconds = []
        for each in steps if turn % 2 else steps[::-1]:
            started = time.process_time()
            each.epoch()
            seconds.append(time.process_time() - started)
        ratios.append(seconds[0] / seconds[1] if turn % 2 else seconds[1] / seconds[0])
    return statistics.median(ratios[1:])


if __name__ == "__main__":
    sys.exit(main())
