"""Pictures whose times in the file are not their own: B-frames with the times of their packets."""

import numpy as np
import pytest

from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from tests.ffmpeg import decoded, write_film

ALL = Needs(frames=Uniform(1000), keep_frames=True)
SIZE = (48, 64)


def media(path, start=None, end=None):
    source = ClipSource(video=path, start_seconds=start, end_seconds=end)
    return load_media(source, [ALL])[0]


@pytest.mark.parametrize("container", ["mkv", "nut", "avi"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_xvid_comes_in_the_order_of_the_decoder(tmp_path, container, b_frames):
    """FFmpeg's muxers give Xvid's B-frames the times of their packets."""
    path = write_film(tmp_path / f"a.{container}", "-c:v", "libxvid", "-bf", b_frames, seconds=1)
    found = media(path)
    np.testing.assert_array_equal(found.frames, decoded(path, SIZE)[0])
    assert (np.diff(found.frame_seconds) > 0).all()
    assert found.notes == {}
    inside = (found.frame_seconds >= 0.3) & (found.frame_seconds < 0.8)
    np.testing.assert_array_equal(media(path, 0.3, 0.8).frames, found.frames[inside])
