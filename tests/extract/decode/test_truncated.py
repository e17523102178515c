"""Cut files are told from whole ones by their structure."""

import random

import av
import pytest

from emo.extract.decode.structure.truncated import is_truncated
from tests.ffmpeg import write_film

CODECS = {
    "mkv": ("-c:v", "mpeg4", "-c:a", "aac"),
    "webm": ("-c:v", "libvpx", "-c:a", "libopus", "-deadline", "realtime", "-cpu-used", "8"),
    "avi": ("-c:v", "mpeg4", "-c:a", "mp3"),
    "flv": ("-c:v", "flv", "-c:a", "mp3"),
    "ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "m2ts": ("-c:v", "mpeg2video", "-c:a", "ac3"),
    "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "mp4": ("-c:v", "mpeg4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
}
SURE = {"mpg": 0.95, "ts": 0.9, "m2ts": 0.9}
"""Share of cuts that are seen where one between two packets looks like an end."""


def name_of(path):
    with av.open(str(path)) as container:
        return container.format.name


@pytest.mark.parametrize("container", CODECS)
def test_cuts_anywhere_are_seen_and_whole_files_are_whole(tmp_path, container):
    path = write_film(tmp_path / f"a.{container}", *CODECS[container], seconds=1, sound=True)
    name, content, cut = name_of(path), path.read_bytes(), tmp_path / "cut"
    assert not is_truncated(path, name)
    places = random.Random(0).sample(range(len(content) // 4, len(content) - 1), 100)
    found = 0
    for place in places:
        cut.write_bytes(content[:place])
        found += is_truncated(cut, name)
    assert found >= 100 * SURE.get(container, 1.0)


@pytest.mark.parametrize("container", ["mkv", "webm", "avi", "ts", "mpg", "flv"])
def test_joined_files_are_whole(tmp_path, container):
    path = write_film(tmp_path / f"a.{container}", *CODECS[container], seconds=0.5, sound=True)
    name = name_of(path)
    path.write_bytes(path.read_bytes() * 2)
    assert not is_truncated(path, name)


def test_the_real_files_that_can_be_opened_are_whole(real_data):
    cut = set()
    for path in sorted([*(real_data / "clips").iterdir(), *(real_data / "hostile").iterdir()]):
        try:
            name = name_of(path)
        except av.error.FFmpegError:
            continue
        if is_truncated(path, name):
            cut.add(path.name)
    assert cut == {"truncated_half.mpg", "truncated_moov_first.mp4"}
