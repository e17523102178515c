"""Sound after lost Ogg pages and AVI chunks, which FFmpeg counts on as if nothing was lost."""

import numpy as np
import pytest

from emo.extract.decode.sound.audio import read_sound
from emo.extract.decode.sound.ogg_pages import begins_with_loss, has_open_end, read_pages
from tests.extract.decode.faulty_sound import KINDS, lags, write

VORBIS = next(kind for kind in KINDS if (kind.ending, kind.codec) == ("ogg", "libvorbis"))
AVI = next(kind for kind in KINDS if kind.ending == "avi")


def read(path):
    return read_sound(path, channel="mix", track=None, start_seconds=None, end_seconds=None)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """An Ogg Vorbis file, its pages and its sound."""
    path = write(VORBIS, tmp_path_factory.mktemp("ogg") / "speech.ogg")
    return path, list(read_pages(path)), read(path).samples[0]


def test_the_pages_of_a_whole_file(speech):
    pages = read_pages(speech[0])
    assert len(pages) >= 5
    assert not any(page.is_after_loss for page in pages.values())
    assert not has_open_end(pages)
    ends = [page.granule for page in pages.values()]
    assert ends == sorted(ends)
    assert ends[-1] == len(speech[2])


@pytest.mark.parametrize("lost", [[2], [3], [3, 4], [-2]])
def test_sound_after_lost_pages_lies_where_it_was(speech, tmp_path, lost):
    path, places, whole = speech
    content = bytearray(path.read_bytes())
    for index in lost:
        content[places[index] + 200] ^= 255
    damaged = tmp_path / "damaged.ogg"
    damaged.write_bytes(content)
    assert begins_with_loss(read_pages(damaged)) == (lost == [2])
    sound = read(damaged)
    assert len(sound.samples[0]) == pytest.approx(len(whole), abs=1024)  # the last block uncut
    found = [lag for _, lag, likeness in lags(whole, sound.samples[0], 44100) if likeness > 0.9]
    assert len(found) > 10 - 4 * len(lost)
    assert np.abs(found).max() <= 3
    assert sound.faults.notes["seconds_lacking"] == pytest.approx(len(lost), abs=0.1)


def test_a_page_lost_at_the_end_is_an_open_end(speech, tmp_path):
    path, places, _ = speech
    content = bytearray(path.read_bytes())
    content[places[-1] + 200] ^= 255
    (tmp_path / "a.ogg").write_bytes(content)
    assert read(tmp_path / "a.ogg").faults.notes == {"end_missing": 1.0}


def test_chunks_of_an_avi_lie_where_its_index_says(tmp_path):
    path = write(AVI, tmp_path / "film.avi")
    whole = read(path).samples[0]
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(content)
    sound = read(path)
    assert len(sound.samples[0]) == len(whole)
    lacking = sound.faults.notes["seconds_lacking"]
    assert 0.1 < lacking < 1
    quarter = len(whole) // 4
    np.testing.assert_allclose(sound.samples[0][-quarter:], whole[-quarter:], atol=1e-4)
