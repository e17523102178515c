"""The synthetic clips as a camera would give them: 720p at 24 frames a second, 4 to 6 seconds.

The demo's own are small (256 pixels at 12 a second), so that decoding them costs next to nothing
and says nothing about real ones.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from emo.datasets.synthetic.dataset import render_clip
from emo.datasets.synthetic.plan import plan_clips
from emo.datasets.synthetic.speech import SAMPLE_RATE

WIDTH, HEIGHT, RATE = 1280, 720, 24


def large_clips(folder: Path, most: int) -> Path:
    """At most so many clips in a new folder, which is returned."""
    target = folder / "large"
    target.mkdir()
    for clip in plan_clips(0, 1)[:most]:
        small, speech, _ = render_clip(clip, 0)
        samples = np.tile(speech.samples, 2).astype(np.float32)
        _write(target / f"{clip.id}.mp4", list(small), samples[None])
    return target


def _write(path: Path, small: list[np.ndarray], samples: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index, pixels in enumerate(_frames(small)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        container.mux(audio.encode(sound))
        container.mux(audio.encode())


def _frames(small: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The face twice as large before a noisy wall, each frame twice, the whole twice over."""
    wall = np.random.default_rng(0).integers(90, 130, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for pixels in [*small, *small]:
        face = pixels.repeat(2, axis=0).repeat(2, axis=1)  # (512, 512, 3)
        top, left = (HEIGHT - face.shape[0]) // 2, (WIDTH - face.shape[1]) // 2
        frame = wall.copy()
        frame[top : top + face.shape[0], left : left + face.shape[1]] = face
        yield from (frame, frame)
