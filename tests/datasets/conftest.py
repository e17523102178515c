"""One clip of each format, made once and copied into every tree."""

import pytest

from tests.datasets.trees import Media
from tests.make import make_clip


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    return Media(
        mp4=make_clip(folder / "a.mp4", seconds=0.5),
        flv=make_clip(folder / "a.flv", seconds=0.5, codec="flv1", audio_codec="mp3",
                      sample_rate=22050),
        wav=make_clip(folder / "a.wav", seconds=0.5, video=False, audio_codec="pcm_s16le"),
        avi=make_clip(folder / "a.avi", seconds=4.0, codec="mpeg4", audio_codec="pcm_s16le"),
    )  # fmt: skip
