"""Every real and hostile file gives the streams, or the class of failure, that the table lists."""

import re

import pytest

from emo.errors import MediaError
from tests.extract.decode.print_media_table import STREAMS, extract, measured, rows

CASES = [
    pytest.param(row, id=row["file"], marks=[pytest.mark.slow] if row["slow"] else [])
    for row in rows()
]


def test_the_table_lists_every_file(real_data):
    folders = ("clips", "flv", "hostile")
    files = {
        path.relative_to(real_data).as_posix()
        for folder in folders
        for path in (real_data / folder).iterdir()
    }
    assert files == {row["file"] for row in rows()}


@pytest.mark.parametrize("row", CASES)
def test_a_file_gives_what_the_table_lists(real_data, row):
    if row["failure"]:
        with pytest.raises(MediaError, match=re.escape(row["failure"])):
            extract(row)
        return
    found = measured(row)
    assert found["failure"] == ""
    if row["face_share"]:  # a detection at the edge of its threshold may tip over
        assert float(found["face_share"]) == pytest.approx(float(row["face_share"]), abs=0.13)
    for name in STREAMS:
        assert bool(found[name]) == bool(row[name]), f"{name}: {found}"
        if row[name]:  # FFmpeg versions differ in the padding of compressed audio
            tolerance = 0 if name.endswith("face") else 3 + 0.02 * int(row[name])
            assert int(found[name]) == pytest.approx(int(row[name]), abs=tolerance), name
