"""Media in buckets and tar shards decode as local files do, and broken servers give a reason."""

import tarfile
from datetime import timedelta

import numpy as np
import obstore
import pytest
from obstore.store import from_url
from PIL import Image

from emo.errors import MediaError
from emo.extract.decode.decode import load_media, probe_seconds
from emo.extract.decode.limits import MediaLimits, set_limits
from emo.extract.decode.source import source_hash, source_of
from emo.extract.decode.sources import bodies
from emo.extract.decode.sources.media_file import FarFile, located
from emo.extract.decode.sources.object_listing import list_objects
from emo.extract.media import Needs, Uniform
from emo.manifest import Clip
from emo.store.backend import connect
from tests.make import make_clip

NEEDS = [Needs(frames=Uniform(6), keep_frames=True, audio=True)]


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A clip in each container whose faults have a walk of their own, a tone and a picture."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("a.mp4", "a.mkv", "a.ts", "a.avi"):
        make_clip(folder / name, seconds=0.5)
    make_clip(folder / "a.flv", seconds=0.5, sample_rate=22050)
    make_clip(folder / "a.ogg", seconds=0.5, video=False, audio_codec="libopus", sample_rate=48000)
    make_clip(folder / "a.wav", seconds=0.5, video=False, audio_codec="pcm_s16le")
    (folder / "cut.mp4").write_bytes((folder / "a.mp4").read_bytes()[:-900])
    (folder / "no.mp4").write_bytes(b"this is no medium")
    (folder / "empty.wav").write_bytes(b"")
    Image.new("RGB", (8, 6), "red").save(folder / "a.png")
    with tarfile.open(folder / "shard.tar", "w") as tar:
        for path in sorted(folder.glob("*.*")):
            if path.suffix != ".tar":
                tar.add(path, f"./{path.name}")
    return folder


def decoded(cell, root):
    """What a clip gives, or the words of its error without its path."""
    clip = Clip("c", video=cell)
    try:
        (found,) = load_media(source_of(clip, root), NEEDS)
    except MediaError as error:
        return str(error)
    arrays = (found.frames, found.frame_seconds, found.samples)
    return (
        [None if array is None else (array.shape, array.tobytes()) for array in arrays],
        found.absent, found.notes, found.faults, found.sample_rate,
    )  # fmt: skip


def upload(bucket, folder):
    store = from_url(bucket, client_options={"allow_http": True})
    for path in folder.glob("*.*"):
        obstore.put(store, f"clips/{path.name}", path.read_bytes())
    return store


@pytest.mark.parametrize("most_in_memory", [2**25, 0])
def test_decoding_is_the_same_wherever_the_bytes_lie(media, bucket, monkeypatch, most_in_memory):
    """Once with files in memory, once with blocks in the cache."""
    monkeypatch.setattr(bodies, "MOST_IN_MEMORY", most_in_memory)
    upload(bucket, media)
    names = sorted(path.name for path in media.glob("*.*") if path.suffix != ".tar")
    assert len(names) == 11
    with tarfile.open(media / "shard.tar") as tar:
        positions = {each.name: f"{each.offset_data}+{each.size}" for each in tar}
    for name in names:
        here = decoded(name, media)
        member = f"shard.tar!./{name}"
        assert decoded(f"{bucket}/clips/{name}", media) == here, name
        assert decoded(member, media) == here
        assert decoded(f"{bucket}/clips/{member}", media) == here
        assert decoded(f"{bucket}/clips/{member}@{positions[f'./{name}']}", media) == here


def test_each_block_of_a_shard_is_read_once(bucket, object_server, monkeypatch, media):
    monkeypatch.setattr(bodies, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(bodies, "GET_BYTES", 2**14)
    upload(bucket, media)
    with object_server.heard() as heard:
        for name in ("a.mp4", "a.mkv", "a.wav", "a.mp4"):
            decoded(f"{bucket}/clips/shard.tar!./{name}", media)
    size = (media / "shard.tar").stat().st_size
    assert 0 < sum(each.bytes for each in heard) <= size
    assert sum(each.method == "HEAD" for each in heard) == 1


def quick(monkeypatch):
    monkeypatch.setitem(connect.MEDIA_TIMEOUTS, "read_timeout", "0.3s")
    monkeypatch.setitem(
        connect.MEDIA_RETRY, "backoff",
        {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5),
         "base": 2},
    )  # fmt: skip


@pytest.mark.parametrize("fault", ["busy", "half", "slow"])
def test_a_fault_that_passes_is_not_noticed(media, bucket, object_server, monkeypatch, fault):
    quick(monkeypatch)
    upload(bucket, media)
    here = decoded("a.wav", media)
    object_server.faults = [fault, fault]
    assert decoded(f"{bucket}/clips/a.wav", media) == here
    assert object_server.faults == []


@pytest.mark.parametrize(
    ("fault", "reason"), [("busy", "503"), ("half", "broke off"), ("slow", "cannot be reached")]
)
def test_a_fault_that_stays_gives_a_reason(
    media, bucket, object_server, monkeypatch, fault, reason
):
    quick(monkeypatch)
    upload(bucket, media)
    object_server.faults = [f"{fault} forever"]
    with object_server.heard() as heard:
        said = decoded(f"{bucket}/clips/a.wav", media)
    assert reason in said
    assert "committed" not in said
    assert 2 <= sum(each.method == "GET" for each in heard) <= 6


def test_a_request_of_a_look_counts_for_the_clip_that_is_read_next(media, bucket):
    upload(bucket, media)
    source, before = source_of(Clip("c", video=f"{bucket}/clips/a.wav"), media), bodies.fetched()
    assert probe_seconds(source) is not None
    assert bodies.fetched() == before
    for _ in range(2):  # the bytes are in memory: nothing is fetched the second time
        load_media(source, NEEDS)
        counted = tuple(now - then for then, now in zip(before, bodies.fetched(), strict=True))
        assert counted == (1, (media / "a.wav").stat().st_size)


def test_limits_of_the_user_hold_for_objects(media, bucket, object_server, monkeypatch):
    upload(bucket, media)
    here, size = decoded("a.wav", media), (media / "a.wav").stat().st_size
    shard, before = (media / "shard.tar").stat().st_size, bodies.fetched()
    assert shard > size
    try:
        set_limits(MediaLimits(file_bytes=size, fetch_seconds=20))
        assert decoded(f"{bucket}/clips/a.wav", media) == here
        assert decoded(f"{bucket}/clips/shard.tar!./a.wav", media) == here
        requests, size_bytes = (b - a for a, b in zip(before, bodies.fetched(), strict=True))
        assert (requests, size_bytes) == (2, size + shard)
        bodies.begin_job((), MediaLimits(file_bytes=size - 1))
        bodies._kept.cache_clear()
        with object_server.heard() as heard:
            assert "(--max-bytes)" in decoded(f"{bucket}/clips/a.wav", media)
        assert not [each for each in heard if each.method == "GET"]
        assert "(--max-bytes)" in decoded(f"{bucket}/clips/shard.tar!./a.wav", media)
        bodies._kept.cache_clear()
        set_limits(MediaLimits(fetch_seconds=0.2))
        object_server.faults = ["slow forever"]
        said = decoded(f"{bucket}/clips/a.wav", media)
        assert said.endswith("a.wav: not read within 0.2 s (--timeout)")
    finally:
        set_limits()
        object_server.faults = []


def test_requests_of_a_first_look_are_counted_when_the_clip_is_decoded(
    media, bucket, object_server
):
    """Plans look at the headers of some clips; what was fetched then stays in memory."""
    upload(bucket, media)
    size = (media / "a.mkv").stat().st_size
    source, before = source_of(Clip("c", video=f"{bucket}/clips/a.mkv"), media), bodies.fetched()
    assert probe_seconds(source) > 0
    assert bodies.fetched() == before
    for _ in range(2):
        load_media(source, NEEDS)
        assert bodies.fetched() == (before[0] + 1, before[1] + size)


def test_missing_objects_members_and_shards(media, bucket, object_server):
    upload(bucket, media)
    assert probe_seconds(source_of(Clip("c", video=f"{bucket}/no.mp4"), media)) is None
    assert decoded(f"{bucket}/no.mp4", media) == f"no such object: {bucket}/no.mp4"
    assert "no such member" in decoded(f"{bucket}/clips/shard.tar!no.mp4", media)
    assert "no such file" in decoded("none.tar!a.mp4", media)
    far = decoded(f"{bucket}/clips/shard.tar!a.mp4@5+99999999", media)
    assert "ends before the member" in far
    assert "run `emo manifest tar` again" in far


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_position_of_another_member_fails_the_clip(media, tmp_path, kind):
    names = ["a.wav", f"{'d' * 90}/{'e' * 60}.wav"]
    names += [] if kind == tarfile.USTAR_FORMAT else ["ü" * 300 + ".wav"]
    with tarfile.open(tmp_path / "x.tar", "w", format=kind) as tar:
        for name in (*names, "last.wav"):
            tar.add(media / "a.wav", name)
    with tarfile.open(tmp_path / "x.tar") as tar:
        found = {each.name: (each.offset_data, each.size) for each in tar}
    here = decoded("a.wav", media)
    for name in names:
        offset, size = found[name]
        other = found["last.wav"][0]
        assert decoded(f"x.tar!{name}@{offset}+{size}", tmp_path) == here
        for wrong in (f"{other}+{size}", f"{offset}+{size - 512}", f"{offset + 512}+9", "9+9"):
            said = decoded(f"x.tar!{name}@{wrong}", tmp_path)
            assert "run `emo manifest tar` again" in said


def test_a_packed_tar_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w:gz") as tar:
        tar.add(__file__, "a.wav")
    assert "unpack it to .tar" in decoded("x.tar!a.wav", tmp_path)


def test_the_hash_is_the_etag_by_listing(media, bucket, object_server):
    store = upload(bucket, media)
    clips = [
        Clip(name, video=f"{bucket}/clips/{name}") for name in ("a.mp4", "a.wav", "missing.wav")
    ]
    clips.append(Clip("m", video=f"{bucket}/clips/shard.tar!./a.mp4@512+9"))
    with object_server.heard() as heard:
        list_objects(clips)
        first = [source_hash(clip, media) for clip in clips]
    assert [each.method for each in heard] == ["GET"]
    obstore.put(store, "clips/a.wav", b"other")
    list_objects(clips)
    again = [source_hash(clip, media) for clip in clips]
    assert [a == b for a, b in zip(first, again, strict=True)] == [True, False, True, True]
    local = Clip("c", video="a.mp4")
    assert source_hash(local, media) == source_hash(local, media)


def test_an_object_that_was_replaced_since_is_not_read(media, bucket, object_server):
    store = upload(bucket, media)
    clip = Clip("c", video=f"{bucket}/clips/a.wav")
    list_objects([clip])
    obstore.put(store, "clips/a.wav", (media / "a.ogg").read_bytes())
    assert "was replaced since the job was planned" in decoded(clip.video, media)


def test_many_folders_are_one_listing(bucket, object_server):
    clips = [Clip(str(k), audio=f"{bucket}/d/{k}/a.wav") for k in range(50)]
    with object_server.heard() as heard:
        list_objects(clips)
        hashes = {source_hash(clip, None) for clip in clips}
    assert len(heard) == 1
    assert len(hashes) == 50


def test_a_far_file_looks_like_a_path(media):
    file = located("shard.tar!./a.mkv", media)
    assert isinstance(file, FarFile)
    assert (file.name, file.suffix) == ("a.mkv", ".mkv")
    assert str(file).endswith("shard.tar!./a.mkv")
    data = file.read_bytes()
    with file.open() as opened:
        assert opened.seek(-5, 2) == len(data) - 5
        assert opened.read() == data[-5:]
    assert np.array_equal(list(data), list((media / "a.mkv").read_bytes()))
