"""Write one synthetic clip as an mp4 file; every run gives the same bytes."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import av.codec
import numpy as np
from av.video.stream import VideoStream

from emo.datasets.synthetic.speech import SAMPLE_RATE
from emo.datasets.synthetic.warp import SIZE

FRAME_RATE = 12
"""Frames per second of the synthetic clips."""


def write_clip(path: Path, frames: Iterable[np.ndarray], samples: np.ndarray) -> None:
    """Encode frames and sound into an mp4 file.

    Args:
        path: the file to write; an existing one is replaced.
        frames: each uint8 (H, W, 3), RGB, at ``FRAME_RATE``.
        samples: float32 (S,), mono in [-1, 1], at ``speech.SAMPLE_RATE``.
    """
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = _video_stream(container)
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        audio.bit_rate = 64_000
        audio.codec_context.thread_count = 1
        sound = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        for index, pixels in enumerate(frames):
            image = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            image.pts, image.time_base = index, Fraction(1, FRAME_RATE)
            container.mux(video.encode(image))
        container.mux(video.encode())
        container.mux(audio.encode(sound))
        container.mux(audio.encode())


def _video_stream(container: av.container.OutputContainer) -> VideoStream:
    """Add a video stream: H.264 if FFmpeg has it, else MPEG-4; one thread, for the same bytes."""
    has_x264 = "libx264" in av.codec.codecs_available
    options = {"preset": "superfast", "crf": "20"} if has_x264 else {"qscale": "3"}
    video = container.add_stream(
        "libx264" if has_x264 else "mpeg4", rate=FRAME_RATE, options=options
    )
    video.width = video.height = SIZE
    video.pix_fmt = "yuv420p"
    video.codec_context.thread_count = 1
    return video
