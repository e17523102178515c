"""Pictures found by seeks: are they exact, and how fast beside a whole decode and torchcodec.

    python benchmarks/seeking.py [--quick] [--torchcodec PYTHON]

Films of H.264 with sound, 640 x 360, of 240 s (GOP 12, 50 and 250) and of 1800 s (GOP 50;
--quick: GOP 50 of 240 s alone). Seconds are processor time, the least of several runs that take
turns; floors: PyAV alone. torchcodec runs in the Python that is named, with the libraries of FFmpeg
that PyAV brings, so that both sides decode with the same code. Prints a JSON line a figure.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

from emo.extract.decode.container import discard_others, open_media
from emo.extract.decode.decode import load_media
from emo.extract.decode.pictures.frame_list import list_frames
from emo.extract.decode.pictures.video import shown_frames
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform

Line = dict[str, Any]
ROUNDS = 5
FILMS = {"240 s, GOP 12": (240, 12), "240 s, GOP 50": (240, 50), "240 s, GOP 250": (240, 250),
         "1800 s, GOP 50": (1800, 50), "12 s, GOP 12": (12, 12)}  # fmt: skip
GOALS = {"240 s, GOP 12": 1.25, "240 s, GOP 50": 1.15, "240 s, GOP 250": 1.15,
         "1800 s, GOP 50": 1.4, "12 s, GOP 12": 1.2}  # fmt: skip
THEIRS = """
import json, sys, time
import numpy as np
import torch
from torchcodec.decoders import VideoDecoder
torch.set_num_threads(1)
for line in sys.stdin:
    path, count = json.loads(line)
    start = time.process_time()
    film = VideoDecoder(path, seek_mode="exact", num_ffmpeg_threads=1, dimension_order="NHWC")
    last = len(film) - 1
    wanted = np.unique(np.round(np.linspace(0, last, min(count, last + 1))).astype(int))
    film.get_frames_at(wanted.tolist()).data.numpy()
    print(json.dumps(time.process_time() - start), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one film of 240 s, one of 12 s")
    parser.add_argument("--torchcodec", metavar="PYTHON", default=sys.executable,
                        help="the Python that has torchcodec (default: this one)")  # fmt: skip
    options = parser.parse_args()
    names = ["240 s, GOP 50", "12 s, GOP 12"] if options.quick else list(FILMS)
    with tempfile.TemporaryDirectory(prefix="emo-bench-") as folder:
        theirs = Torchcodec(options.torchcodec, Path(folder))
        lines = [line for name in names for line in _figures(name, Path(folder), theirs)]
        theirs.close()
    for line in lines:
        print(json.dumps(line))
    return int(any(line.get("verdict") == "short" for line in lines))


def _figures(name: str, folder: Path, theirs: "Torchcodec") -> Iterator[Line]:
    """Measure one film."""
    path = _film(folder / f"{name.replace(' ', '').replace(',', '-')}.mp4", *FILMS[name])
    sides: dict[str, Callable[[], float | None]] = {
        "ours": lambda: _spent(lambda: _decode(path, 8)),
        "whole decode": lambda: _spent(lambda: _decode(path, 8, decodes_all=True)),
        "torchcodec": lambda: theirs.seconds(path, 8),
        "listing": lambda: _spent(lambda: list_frames(path)),
        "listing, floor": lambda: _spent(lambda: _demux(path)),
    }
    if FILMS[name][0] <= 240:
        sides["all frames"] = lambda: _spent(lambda: _shown(path, decodes_all=False))
        sides["all frames, whole decode"] = lambda: _spent(lambda: _shown(path, decodes_all=True))
    runs = [{side: call() for side, call in sides.items()} for _ in range(ROUNDS)]
    least = {
        side: min((run[side] for run in runs if run[side] is not None), default=None)
        for side in sides
    }
    yield {"film": name, "milliseconds": {
        side: None if found is None else round(1000 * found, 1) for side, found in least.items()
    }}  # fmt: skip
    yield {"film": name, "figure": "pictures that differ from a whole decode", **_wrong(path)}
    yield _ratio(name, "8 frames: ours / torchcodec", least["ours"], least["torchcodec"],
                 GOALS[name], theirs.absent)  # fmt: skip
    goal = 0.06 if name == "240 s, GOP 50" else None
    yield _ratio(name, "8 frames: ours / whole decode", least["ours"], least["whole decode"], goal)
    if "all frames" in least:
        yield _ratio(name, "all frames: ours / whole decode", least["all frames"],
                     least["all frames, whole decode"], 1.03)  # fmt: skip
    yield _ratio(name, "listing / its floor", least["listing"], least["listing, floor"], None)


def _ratio(
    film: str, figure: str, ours: float | None, other: float | None, goal: float | None,
    absent: str | None = None,
) -> Line:  # fmt: skip
    if ours is None or other is None:
        return {"film": film, "figure": figure, "ratio": None, "absent": absent}
    ratio = round(ours / other, 3)
    verdict = {} if goal is None else {"goal": goal, "verdict": "met" if ratio <= goal else "short"}
    return {"film": film, "figure": figure, "ratio": ratio, **verdict}


def _film(path: Path, seconds: int, gop: int) -> Path:
    picture = f"testsrc2=s=640x360:r=25:d={seconds},noise=alls=6:allf=t,format=yuv420p"
    words = [
        "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=f=440:r=44100:d={seconds}",
        "-threads", "1", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2",
        "-sc_threshold", "0", "-g", str(gop), "-c:a", "aac",
    ]  # fmt: skip
    subprocess.run([get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *words, path], check=True)
    return path


def _spent(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _decode(path: Path, count: int, *, decodes_all: bool = False) -> object:
    need = Needs(frames=Uniform(count), keep_frames=True)
    return load_media(ClipSource(video=path, decodes_all=decodes_all), [need])


def _shown(path: Path, *, decodes_all: bool) -> None:
    """Decode all frames, and keep none."""
    found = list_frames(path)
    assert not isinstance(found, str)
    for _ in shown_frames(path, found.seconds, found, decodes_all=decodes_all):
        pass


def _demux(path: Path) -> None:
    """Read all packets of the video track by PyAV alone."""
    with av.open(str(path)) as container:
        discard_others(container, container.streams.video[0])
        for _ in container.demux(video=0):
            pass


def _wrong(path: Path) -> Line:
    """Compare 100 pictures, each by a seek of its own, with a whole decode."""
    found = list_frames(path)
    assert not isinstance(found, str)
    count = len(found.seconds)
    chosen = np.unique(np.random.default_rng(0).integers(0, count, 100))
    with open_media(path) as container:
        stream = container.streams[found.track]
        stream.thread_count = 1
        expected = {}
        for index, frame in enumerate(container.decode(stream)):
            if index in chosen:
                expected[index] = frame.to_ndarray()
    differ = 0
    for index in chosen.tolist():
        ((_, stored),) = shown_frames(path, found.seconds[index : index + 1], found)
        differ += not np.array_equal(stored.frame.to_ndarray(), expected[index])
    return {"pictures": len(chosen), "differ": differ, "goal": 0,
            "verdict": "short" if differ else "met"}  # fmt: skip


class Torchcodec:
    """torchcodec in a process of its own, with PyAV's libraries of FFmpeg."""

    def __init__(self, python: str, folder: Path) -> None:
        self.absent: str | None = None
        libraries = folder / "libraries"
        libraries.mkdir()
        bundled = Path(av.__file__).parents[1] / "av.libs"
        for file in bundled.glob("lib*.so*"):
            name, _, version = file.name.partition(".so.")
            (libraries / f"{name.rsplit('-', 1)[0]}.so.{version.split('.')[0]}").symlink_to(file)
        path = os.pathsep.join([str(libraries), str(bundled)])
        self._process = subprocess.Popen(
            [python, "-c", THEIRS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, "LD_LIBRARY_PATH": path},
        )  # fmt: skip

    def seconds(self, path: Path, count: int) -> float | None:
        """Return the processor time of one decode; None: torchcodec does not work here."""
        if self.absent is not None:
            return None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([str(path), count]) + "\n")
            self._process.stdin.flush()
            return float(json.loads(self._process.stdout.readline()))
        except (BrokenPipeError, ValueError):
            lines = (self._process.stderr.read() if self._process.stderr else "").splitlines()
            self.absent = next((line for line in reversed(lines) if line.strip()), "no answer")
            return None

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


if __name__ == "__main__":
    sys.exit(main())
