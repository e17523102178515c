"""The service under load: latencies and rate of `emo serve`, beside the same work in one process.

    python -m benchmarks.serve [--requests 1000] [--at-once 16] [--text FOLDER] [--together]

Prints one JSON line a way, measured in turns: one clip after the other in this process; clips at
once through the queue and the processes that decode, without HTTP; and clips at once by HTTP to a
process of its own. Clips are 1 s of sound for a run on ``logmel``; with ``--text FOLDER`` they are
texts of 3 to 30 words for a run on a model of transformers in that folder (``tiny``: a small
random BERT). The last line compares the 95th percentiles: what HTTP costs over the model and its
queue.
"""

import argparse
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from emo.extract.backbones.hf import HF
from emo.extract.job.request import requests_from_words
from emo.extract.run import extract
from emo.heads.fitting.fit import FitOptions, fit_head
from emo.manifest import Clip, read_manifest
from emo.predict.serve.app import PredictionService
from emo.predict.serve.limits import ServiceLimits
from emo.predict.serve.pipeline import ClipWork
from emo.predict.serve.resident import ResidentRun

CLIPS = 24
TURNS = 10
"""The ways are measured in turns, so that a busy machine slows all alike."""
WORDS = ("so", "happy", "sad", "we", "never", "saw", "that", "again", "and", "it", "was", "good")
Ask = Callable[[int], None]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--requests", type=int, default=1000)
    options.add_argument("--at-once", type=int, default=16)
    options.add_argument("--text", default="")
    options.add_argument("--together", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        folder = Path(name)
        weights = _make_texts(folder, given.text) if given.text else _make_sounds(folder)
        clips = _clips(folder)
        resident = ResidentRun(
            folder / "run", options=weights, clip_bytes=2**29, is_together=given.together
        )
        limits = ServiceLimits(decoders=len(os.sched_getaffinity(0)))
        service = PredictionService(resident, limits)
        service.warm_up()

        def ask(number: int) -> None:
            work = ClipWork(clips[number % len(clips)], folder, float("inf"))
            service.pipeline.submit(work)
            work.answer.result()

        words = [*(["--together"] if given.together else []), *(f"-o{each}" for each in weights)]
        with _served(folder, words) as port:
            ways = (
                Way("one after the other, without HTTP", 1, lambda: ask),
                Way("at once, without HTTP", given.at_once, lambda: ask),
                Way("at once, by HTTP", given.at_once, lambda: _asker(port, clips)),
            )
            for _ in range(TURNS):
                for way in ways:
                    way.measure(given.requests // TURNS)
        service.close()
    _, inside, outside = (way.figures() for way in ways)
    over = round(outside["p95_ms"] - inside["p95_ms"], 1)
    print(json.dumps({"p95_over_the_model_ms": over, "goal_ms": 50}))


def _make_sounds(folder: Path) -> list[str]:
    """Write sounds and a run on them; return its options of weights, none."""
    rows = ["id,audio,label,split"]
    for number in range(CLIPS):
        noise = np.random.default_rng(number).normal(0, 500 * (1 + number % 2), 16000)
        with wave.open(f"{number}.wav", "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(noise.astype("<i2").tobytes())
        rows.append(f"c{number},{number}.wav,{_label(number)}")
    _make_run(folder, rows, ["logmel"], [])
    return []


def _make_texts(folder: Path, model: str) -> list[str]:
    """Write texts and a run on them; return where its weights are."""
    if model == "tiny":
        model = str(folder / "tiny")
        Path(model).mkdir()
        HF.write_tiny(Path(model))
    rows, drawn = ["id,text,label,split"], random.Random(0)
    for number in range(CLIPS):
        text = " ".join(drawn.choices(WORDS, k=drawn.randint(3, 30)))
        rows.append(f"c{number},{text},{_label(number)}")
    _make_run(folder, rows, ["hf"], [f"model={model}", "level=mean"])
    return [f"hf.weights={model}"]


def _label(number: int) -> str:
    return f"{('joy', 'fear')[number % 2]},{('train', 'train', 'val')[number // 2 % 3]}"


def _make_run(folder: Path, rows: list[str], words: list[str], options: list[str]) -> None:
    Path("m.csv").write_text("\n".join(rows) + "\n")
    manifest = read_manifest(folder / "m.csv")
    requests = requests_from_words(words, options)
    extract(manifest, folder / "features", requests, progress=False)
    fit_head(manifest, [folder / "features"], folder / "run", FitOptions("linear"))


def _clips(folder: Path) -> list[Clip]:
    clips = read_manifest(folder / "m.csv").clips
    return [Clip(each.id, video=each.audio, text=each.text) for each in clips]


@contextmanager
def _served(folder: Path, words: list[str]) -> Iterator[int]:
    """Run the command, and yield its port."""
    command = [sys.executable, "-m", "emo", "serve", str(folder / "run"), "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().split(":")[2].split("/")[0])
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _asker(port: int, clips: list[Clip]) -> Ask:
    """Return a function that asks by a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    files = {each.video: Path(each.video).read_bytes() for each in clips if each.video}

    def ask(number: int) -> None:
        clip = clips[number % len(clips)]
        if clip.video:
            connection.request("POST", "/predict", files[clip.video], {"Content-Type": "audio/wav"})
        else:
            kind = {"Content-Type": "application/json"}
            connection.request("POST", "/predict", json.dumps({"text": clip.text}), kind)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body

    return ask


class Way:
    """One way to ask, and the seconds that its requests took."""

    def __init__(self, name: str, at_once: int, asker: Callable[[], Ask]) -> None:
        self.name, self.at_once, self.asker = name, at_once, asker
        self.seconds: list[float] = []
        self.wall = 0.0

    def measure(self, requests: int) -> None:
        """Ask so many times more."""
        numbers, lock = iter(range(requests)), threading.Lock()

        def work(ask: Ask) -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                began = time.monotonic()
                ask(number)
                self.seconds.append(time.monotonic() - began)

        askers = [self.asker() for _ in range(self.at_once)]
        threads = [threading.Thread(target=work, args=(each,)) for each in askers]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.wall += time.monotonic() - began

    def figures(self) -> dict[str, float]:
        """Print and return rate and percentiles."""
        cuts = statistics.quantiles(self.seconds, n=100)
        found = {f"p{cut}_ms": round(1000 * cuts[cut - 1], 1) for cut in (50, 95, 99)}
        rate = round(len(self.seconds) / self.wall, 1)
        way = {"way": self.name, "requests": len(self.seconds), "per_second": rate}
        print(json.dumps(way | found))
        return found


if __name__ == "__main__":
    main()
