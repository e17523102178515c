"""One clip of each format, made once and copied into every tree."""

import av
import numpy as np
import pytest

from emo.datasets.png import grey_png
from tests.datasets.media import Media
from tests.make import make_clip


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    (folder / "a.png").write_bytes(grey_png(bytes(range(48)) * 48, 48))
    return Media(
        mp4=make_clip(folder / "a.mp4", seconds=0.5),
        flv=make_clip(folder / "a.flv", seconds=0.5, codec="flv1", audio_codec="mp3",
                      sample_rate=22050),
        wav=make_clip(folder / "a.wav", seconds=0.5, video=False, audio_codec="pcm_s16le"),
        avi=make_clip(folder / "a.avi", seconds=4.0, codec="mpeg4", audio_codec="pcm_s16le"),
        jpg=_picture(folder / "a.jpg"),
        png=folder / "a.png",
    )  # fmt: skip


def _picture(path):
    """Write a JPEG file of 64 × 64 pixels."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        pixels = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
        for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
            container.mux(packet)
        container.mux(stream.encode())
    return path
