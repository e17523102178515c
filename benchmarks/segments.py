"""Clips that are stretches of one file: one pass over it against decoding the file once.

    python benchmarks/segments.py [--quick]

200 clips of 18 seconds that together are the whole of one file, an hour (--quick: 20 of them, 6
minutes), 8 frames and the sound of each, as the worker reads them, against decoding every frame
and sample of the file one time; beside it, each clip opened and sought alone. Prints a JSON line.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from store import Figure, figure

from emo.extract.decode.decode import load_media
from emo.extract.decode.one_pass import load_segments
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform

CLIPS, LENGTH, TOGETHER, ROUNDS = 200, 18.0, 16, 3
WIDTH, HEIGHT, RATE, SAMPLE_RATE = 320, 180, 25, 16000
NEEDS = (Needs(Uniform(8), keep_frames=True, audio=True),)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="20 clips, a file of 6 minutes")
    clips = CLIPS // 10 if parser.parse_args().quick else CLIPS
    with tempfile.TemporaryDirectory(prefix="emo-bench-") as folder:
        film = make_film(Path(folder) / "film.mp4", clips * LENGTH)
        sources = [
            ClipSource(video=film, start_seconds=k * LENGTH, end_seconds=(k + 1) * LENGTH)
            for k in range(clips)
        ]
        lines = figures(film, sources)
    for line in lines:
        print(json.dumps(line))
    return int(any(line.get("verdict") == "short" for line in lines))


def figures(film: Path, sources: list[ClipSource]) -> list[Figure]:
    sides = {
        "once": lambda: decode(film),
        "together": lambda: [
            list(load_segments(sources[low : low + TOGETHER], NEEDS))
            for low in range(0, len(sources), TOGETHER)
        ],
        "alone": lambda: [load_media(source, NEEDS) for source in sources],
    }
    times = {name: [spent(side) for _ in range(ROUNDS)] for name, side in sides.items()}
    typical = {name: statistics.median(found) for name, found in times.items()}
    ratio = typical["together"] / typical["once"]
    return [
        {
            **figure("clips of one file", ratio, "x one decode", 1.3), "clips": len(sources),
            "once_cpu_seconds": round(typical["once"], 2),
            "alone": round(typical["alone"] / typical["once"], 3),
        }
    ]  # fmt: skip


def spent(action: Callable[[], object]) -> float:
    """Processor seconds."""
    began = time.process_time()
    action()
    return time.process_time() - began


def decode(film: Path) -> None:
    """Every frame and every sample, in one thread, each kind in a pass of its own as we do."""
    for kind in ("video", "audio"):
        with av.open(str(film)) as container:
            stream = next(each for each in container.streams if each.type == kind)
            stream.thread_count = 1
            for _ in container.decode(stream):
                pass


def make_film(path: Path, seconds: float) -> Path:
    """A moving wall, a keyframe every 10 seconds as encoders do by default."""
    random = np.random.default_rng(0)
    wall = random.integers(0, 256, (2 * HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    wall = wall.repeat(8, 0).repeat(8, 1)[: 2 * HEIGHT, : 2 * WIDTH]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "superfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = 10 * RATE
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index in range(round(seconds * RATE)):
            top, left = index * 3 % HEIGHT, index * 5 % WIDTH
            image = np.ascontiguousarray(wall[top : top + HEIGHT, left : left + WIDTH])
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())
        noise = 0.1 * random.standard_normal((1, round(seconds * SAMPLE_RATE))).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return path


if __name__ == "__main__":
    raise SystemExit(main())
