"""Films of 30 codecs and containers, spoiled at random: no picture found by a seek is wrong.

The generators lie beside the data of the team; each run draws new damage, and prints its seed.
"""

import os
import random
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from emo.errors import MediaError
from emo.extract.decode.container import discard_others, open_media, origin_seconds
from emo.extract.decode.pictures.decoder import decoded_frames
from emo.extract.decode.pictures.frame_list import list_frames
from emo.extract.decode.seeking.listing import why_unsought
from emo.extract.decode.seeking.seek import Seeker
from emo.extract.decode.seeking.unsure import Unsure

pytestmark = pytest.mark.hostile
CLEAN, SPOILED, PICTURES = 60, 60, 15
CLOSED = re.compile(
    r"(h264_(g|b|av|10|sl|los|vfr)|hevc_(cl|g250)|vp|av1|mpeg4_cgop).*\.(mp4|mov|mkv|webm|ts)"
)
"""Clean files with closed groups of pictures, in containers that can be sought."""


@pytest.fixture(scope="module")
def seed():
    drawn = random.SystemRandom().randrange(10**6)
    print("seed", drawn)
    return drawn


@pytest.fixture(scope="module")
def root(real_data, tmp_path_factory, seed):
    """A folder with the clean films in gen/ and spoiled ones in bad4/."""
    cases = real_data.parent / "cases" / "seeking"
    if not cases.is_dir():
        pytest.skip(f"the generators are not at {cases}")
    folder = tmp_path_factory.mktemp("seeking")
    (folder / "bin").mkdir()
    (folder / "bin" / "ffmpeg").symlink_to(get_ffmpeg_exe())
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, "SEEK_ROOT": str(folder), "PATH": path}
    subprocess.run(["bash", cases / "gen.sh"], env=surroundings, capture_output=True, check=True)
    text = (cases / "gen_bad4.py").read_text()
    for number in ("4242", "101", "102", "103", "104", "105", "106"):
        text = re.sub(rf"\b{number}\b", str(seed + int(number)), text)
    subprocess.run([sys.executable, "-c", text], env=surroundings, capture_output=True, check=True)
    return folder


def digest(frame):
    """Hash of the pixels alone: lines of a plane end with bytes that belong to no picture."""
    is_deep = frame.format.components[0].bits > 8
    return zlib.crc32(frame.to_ndarray(format="rgb48le" if is_deep else "rgb24"))


def whole(path, track, kept):
    """Time -> picture of a decode from the first packet on that keeps so many frames alive."""
    found, alive = {}, []
    with open_media(path) as container:
        for seconds, frame in decoded_frames(container, container.streams[track], None, []):
            found.setdefault(round(seconds, 6), digest(frame))
            alive = [*alive, frame][-kept:] if kept else []
    return found


def by_seek(path, found, index):
    wanted = found.seconds[index : index + 1]
    with open_media(path) as container:
        stream = container.streams[found.track]
        discard_others(container, stream)
        indices = found.indices(wanted, origin_seconds(container), stream.time_base)
        return digest(next(Seeker(container, stream, found.table).pictures(indices)))


def wrong(path, draw):
    """Number of pictures of a file that were found by seeks, and the times of the wrong ones."""
    try:
        found = list_frames(path)
    except MediaError:
        return 0, []
    if isinstance(found, str) or found.table is None or why_unsought(found.table):
        return 0, []
    expected, given, doubtful = whole(path, found.track, 0), 0, []
    for index in draw.sample(range(len(found.seconds)), min(PICTURES, len(found.seconds))):
        time = round(float(found.seconds[index]), 6)
        try:
            picture = by_seek(path, found, index)
        except Unsure:
            continue
        given += 1
        if expected.get(time, picture) != picture:  # absent: a whole decode refuses the picture
            doubtful.append((time, picture))
    if doubtful:  # memory that FFmpeg recycles shows in damaged pictures: they change by themselves
        others = [whole(path, found.track, kept) for kept in (7, 10**9)]
        doubtful = [
            (time, picture)
            for time, picture in doubtful
            if all(other.get(time) == expected[time] for other in others)
            and picture != original(path, found.track).get(time)
        ]
    return given, doubtful


def original(path, track):
    """Pictures of the clean file that a spoiled one was made from."""
    name = re.sub(r"_(flip\d+|keyflip|headflip|lost6|tsdrop\d+).*", "", path.stem) + path.suffix
    clean = path.parents[1] / "gen" / name
    return whole(clean, track, 0) if clean.exists() else {}


def test_no_picture_of_a_clean_film_is_wrong_and_most_are_found_by_seeks(root, seed):
    draw = random.Random(seed)
    films = sorted(path for path in Path(root, "gen").iterdir() if path.stat().st_size)
    results = {path.name: wrong(path, draw) for path in draw.sample(films, CLEAN)}
    assert {name: times for name, (_, times) in results.items() if times} == {}
    closed = [given > 0 for name, (given, _) in results.items() if CLOSED.fullmatch(name)]
    assert sum(closed) >= 0.95 * len(closed) > 5


def test_no_picture_of_a_spoiled_film_is_wrong(root, seed):
    draw = random.Random(seed)
    films = sorted(Path(root, "bad4").iterdir())
    results = {path.name: wrong(path, draw) for path in draw.sample(films, SPOILED)}
    assert {name: times for name, (_, times) in results.items() if times} == {}
    assert sum(given for given, _ in results.values()) > 100
