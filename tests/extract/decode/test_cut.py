"""Cut files: a stretch gives what the whole file gives there, or says that the file is cut."""

import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.pictures.video import frame_seconds
from emo.extract.decode.sound.audio import read_audio
from emo.extract.decode.source import ClipSource
from emo.extract.decode.stretches import stretches_of
from tests.make import make_clip

SECONDS = 12
STRETCHES = [(None, None), (0.0, None), (0.0, 12.0), (0.0, 40.0), (2.0, 4.0), (5.5, 9.0),
             (8.0, 10.0), (10.0, None)]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A whole mp4 with its index at the front, and the same cut near the middle."""
    folder = tmp_path_factory.mktemp("cut")
    whole = make_clip(folder / "whole.mp4", seconds=SECONDS, options={"movflags": "faststart"})
    content = whole.read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    return whole, folder / "cut.mp4"


def sounds(path, **stretch):
    samples, _ = read_audio(path, channel="mix", **stretch)
    return samples


@pytest.mark.parametrize("read", [frame_seconds, sounds])
@pytest.mark.parametrize(("start", "end"), STRETCHES)
def test_a_stretch_of_a_cut_file_is_as_in_the_whole_one_or_a_failure(files, read, start, end):
    whole, cut = files
    stretch = {"start_seconds": start, "end_seconds": end}
    expected = read(whole, **stretch)
    if end is not None and end < 6:
        np.testing.assert_array_equal(read(cut, **stretch), expected)
    else:
        with pytest.raises(MediaError, match=r"the file is cut: decoding broke at [67]\.\d\d s of"):
            read(cut, **stretch)


@pytest.mark.parametrize("read", [frame_seconds, sounds])
def test_the_stretches_of_a_long_cut_clip_do_not_all_pass(files, read):
    _, cut = files
    said = []
    for part in stretches_of(ClipSource(video=cut), 1.3):
        try:
            read(cut, start_seconds=part.start_seconds, end_seconds=part.end_seconds)
        except MediaError as error:
            said.append(str(error))
    assert said
    assert all("the file is cut" in words for words in said)


def test_a_stretch_that_reaches_beyond_the_end_of_a_whole_file_is_no_cut(files):
    whole, _ = files
    assert len(frame_seconds(whole, start_seconds=11.0, end_seconds=99.0)) == 12
    assert sounds(whole, start_seconds=11.0, end_seconds=99.0).shape[1] > 0.9 * 16000


def test_a_whole_file_is_no_cut_one_however_long_its_last_frame_stands(tmp_path):
    path = make_clip(tmp_path / "a.mp4", seconds=5, fps=1, audio=False)
    assert len(frame_seconds(path)) == 5
    assert len(frame_seconds(path, start_seconds=3.0, end_seconds=5.0)) == 2
