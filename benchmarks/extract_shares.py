"""Where the processor time of a part goes, and what scheduling and store take of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from extract_setup import Setup
from spent import Spent, spent
from store import Figure, figure

from emo.extract.decode import one_pass as segments
from emo.extract.decode.decode import load_each
from emo.extract.worker import encode
from emo.extract.worker.decoding import prepare
from emo.extract.worker.encode import encode_batch, prepare_one
from emo.store.part.writer import PartWriter

PART_CLIPS = 64
"""A fair part; usual ones hold 16 to 256 clips."""


@dataclass
class Clock:
    """Sums what wrapped functions take, each in its own thread's processor time."""

    seconds: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                with self.lock:
                    more = time.thread_time() - began
                    self.seconds[name] = self.seconds.get(name, 0.0) + more

        return timed


def shares(folder: Path, setup: Setup) -> Iterator[Figure]:
    """Where the processor time of a part goes, and what is not the work itself.

    One intra-op thread, so that a thread's own time is all of its work.
    """
    clock = Clock()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    detect = type(setup.detect).__call__
    with ExitStack() as stack:
        for place, name, function in (
            (segments, "load_each", load_each),
            (prepare, "prepare_one", prepare_one),
            (encode, "encode_batch", encode_batch),
            (PartWriter, "add", PartWriter.add),
            (PartWriter, "__exit__", PartWriter.__exit__),
            (type(setup.detect), "__call__", detect),
        ):
            stack.enter_context(patch.object(place, name, _method(clock.wrap(name, function))))
        part = spent(lambda: setup.run_part(folder / "shares", setup.manifest.clips))
    torch.set_num_threads(before)
    took = clock.seconds
    seconds = {
        "decode": took["load_each"] - took.get("__call__", 0.0),
        "faces": took.get("__call__", 0.0),
        "prepare": took["prepare_one"],
        "forward": took["encode_batch"],
        "commit": took["add"] + took["__exit__"],
    }
    seconds["other"] = max(0.0, part.cpu - sum(seconds.values()))
    whole = sum(seconds.values())
    largest = max(seconds, key=lambda name: seconds[name])
    yield {
        "figure": "what limits", "value": largest, "unit": "of processor seconds",
        **{name: round(value / whole, 4) for name, value in seconds.items()},
        "clips": len(setup.manifest.clips), "cpu_seconds": round(whole, 2),
    }  # fmt: skip
    idle, more = overhead(folder, setup), PART_CLIPS / len(setup.manifest.clips)
    yield figure(
        "scheduling and store", idle.wall / (part.wall * more), "x a part's time", 0.01,
        cpu=idle.cpu / (part.cpu * more), overhead_seconds=idle.wall,
        part_seconds=part.wall * more, clips=PART_CLIPS,
    )  # fmt: skip


def overhead(folder: Path, setup: Setup) -> Spent:
    """A part whose decoding, preparing and encoding return at once what they once returned."""
    files = setup.manifest.clips
    clips = tuple(
        replace(files[number % len(files)], id=f"clip-{number}") for number in range(PART_CLIPS)
    )
    memory = Memory()
    answers = {
        "load_each": memory.wrap(
            load_each, lambda source, needs: (source.video, source.audio, source.start_seconds)
        ),
        "prepare_one": memory.wrap(prepare_one, lambda bone, media: (bone, id(media))),
        "encode_batch": memory.wrap(
            encode_batch, lambda bone, batch: (bone, *map(id, batch.values()))
        ),
    }
    modules = {"load_each": segments, "prepare_one": prepare, "encode_batch": encode}
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(patch.object(modules[name], name, answer))
        setup.run_part(folder / "kept", clips)
        runs = [spent(partial(setup.run_part, folder / f"idle-{run}", clips)) for run in range(3)]
    return min(runs, key=lambda each: each.wall)


@dataclass
class Memory:
    """Results of functions, by what tells their arguments apart."""

    kept: dict[tuple[str, object], Any] = field(default_factory=dict)

    def wrap(self, function: Callable[..., Any], key: Callable[..., object]) -> Callable[..., Any]:
        def answer(*args: Any, **_: Any) -> Any:
            name = (function.__name__, key(*args))
            if name not in self.kept:
                self.kept[name] = function(*args, **_)
            return self.kept[name]

        return answer


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function, which a class binds to its instances."""
    return lambda *args, **named: function(*args, **named)
