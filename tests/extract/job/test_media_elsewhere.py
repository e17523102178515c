"""`emo` with media and manifests in buckets, by https and in tar shards; as with local files."""

import csv
import hashlib
import io
import json
import tarfile

import obstore
import pyarrow
import pyarrow.parquet
import pytest
from obstore.store import from_url

from emo.extract.job.plan import by_file, part_starts
from emo.manifest import Clip, read_manifest
from emo.store.backend import https
from emo.store.store import Store
from tests.https_server import HttpsServer
from tests.make import make_clip

SECRET = "a-key-that-nobody-may-read"
CLIPS = 6


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    """Name of a clip -> its bytes."""
    folder = tmp_path_factory.mktemp("waves")
    found = {}
    for number in range(CLIPS):
        path = folder / f"c{number}.wav"
        make_clip(path, seconds=0.2 + number / 50, video=False, audio_codec="pcm_s16le")
        found[path.name] = path.read_bytes()
    return found


@pytest.fixture
def uploaded(waves, bucket, tmp_path, monkeypatch):
    """The clips as files, objects and two shards; the local tokens."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    store = from_url(bucket, client_options={"allow_http": True})
    (tmp_path / "clips").mkdir()
    for name, data in waves.items():
        (tmp_path / "clips" / name).write_bytes(data)
        obstore.put(store, f"clips/{name}", data)
    names = list(waves)
    for number, own in enumerate((names[::2], names[1::2])):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name in own:
                member = tarfile.TarInfo(name)
                member.size = len(waves[name])
                tar.addfile(member, io.BytesIO(waves[name]))
        (tmp_path / f"s-{number}.tar").write_bytes(out.getvalue())
        obstore.put(store, f"tars/s-{number}.tar", out.getvalue())
    return store


def write(path, names, prefix=""):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "audio", "label"])
        for name in names:
            rows.writerow([name[:2], prefix + name, "joy"])
    return path


def tokens(path):
    """Clip -> hash of its tokens."""
    recipe = Store(path).recipes["logmel"]
    ids = [clip for clip in recipe.ids if clip not in recipe.failures]
    found = recipe.read("audio", ids)
    return {
        clip: hashlib.sha256(each.tobytes()).hexdigest()
        for clip, each in zip(ids, found, strict=True)
    }


def extract(emo, *words, code=0):
    got, out, err = emo("extract", *words, "--backbone", "logmel", "--part-clips", 3)
    assert got == code, out + err
    return out + err


def test_tokens_are_those_of_local_files(emo, uploaded, bucket, waves, tmp_path):
    write(tmp_path / "clips" / "m.csv", waves)
    extract(emo, "clips/m.csv", "--out", "here")
    here = tokens(tmp_path / "here")
    assert len(here) == CLIPS
    # the manifest in the bucket beside its media; the same as Parquet; relative with --media
    obstore.put(uploaded, "clips/m.csv", (tmp_path / "clips" / "m.csv").read_bytes())
    table = pyarrow.table({"id": [n[:2] for n in waves], "audio": list(waves)})
    out = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, out)
    obstore.put(uploaded, "m.parquet", out.getvalue().to_pybytes())
    write(tmp_path / "urls.csv", waves, f"{bucket}/clips/")
    assert emo("manifest", "tar", f"{bucket}/tars/s-{{0..1}}.tar", "--out", "far.csv")[0] == 0
    assert emo("manifest", "tar", "s-{0..1}.tar", "--out", "near.csv")[0] == 0
    commands = (
        (f"{bucket}/clips/m.csv",),
        (f"{bucket}/m.parquet", "--media", f"{bucket}/clips"),
        ("urls.csv",),
        ("far.csv", "--media", f"{bucket}/tars"),
        ("near.csv",),
    )
    for number, words in enumerate(commands):
        extract(emo, *words, "--out", f"f{number}")
        assert tokens(tmp_path / f"f{number}") == here
        assert "nothing to do" in extract(emo, *words, "--out", f"f{number}")
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_clips_of_a_shard_are_one_part_and_one_read(
    emo, uploaded, bucket, waves, tmp_path, object_server
):
    """The manifest takes turns between the shards; each is read whole, once."""
    rows = [f"tars/s-{k % 2}.tar!{name}" for k, name in enumerate(waves)]
    (tmp_path / "m.csv").write_text("id,audio\n" + "".join(f"{row[-6:-4]},{row}\n" for row in rows))
    with object_server.heard() as heard:
        extract(emo, "m.csv", "--media", bucket, "--out", "f")
    assert len(tokens(tmp_path / "f")) == CLIPS
    assert [each.key.rpartition("/")[2] for each in heard if each.bytes] == ["s-0.tar", "s-1.tar"]
    parts = (tmp_path / "f/.jobs/0001/parts.jsonl").read_text().splitlines()
    assert [len(json.loads(part)["objects"]) for part in parts] == [1, 1]


def test_a_broken_server_fails_a_clip_and_the_job_goes_on(
    emo, uploaded, bucket, waves, tmp_path, object_server
):
    write(tmp_path / "m.csv", [*waves, "no.wav"], f"{bucket}/clips/")
    out = extract(emo, "m.csv", "--out", "f", code=3)
    assert f"no such object: {bucket}/clips/no.wav" in out
    assert len(tokens(tmp_path / "f")) == CLIPS
    assert Store(tmp_path / "f").recipes["logmel"].failures.keys() == {"no"}
    obstore.put(uploaded, "clips/no.wav", waves["c0.wav"])
    extract(emo, "m.csv", "--out", "f")  # its ETag is another one now
    assert len(tokens(tmp_path / "f")) == CLIPS + 1


def test_a_replaced_object_is_noticed_by_its_etag(emo, uploaded, bucket, waves, tmp_path):
    write(tmp_path / "m.csv", waves, f"{bucket}/clips/")
    extract(emo, "m.csv", "--out", "f")
    obstore.put(uploaded, "clips/c1.wav", waves["c2.wav"])
    assert "1 clip of recipe 'logmel' changed" in extract(emo, "m.csv", "--out", "f", code=1)
    extract(emo, "m.csv", "--out", "f", "--changed", "redo")
    found = tokens(tmp_path / "f")
    assert found["c1"] == found["c2"]


def test_planning_sends_no_request_for_each_clip(
    emo, uploaded, bucket, waves, tmp_path, object_server
):
    write(tmp_path / "m.csv", waves, f"{bucket}/clips/")
    extract(emo, "m.csv", "--out", "f")
    with object_server.heard() as heard:
        extract(emo, "m.csv", "--out", "f")
    listings = [each for each in heard if "list-type" in each.query]
    assert len(listings) == 1
    assert not [each for each in heard if each.method == "HEAD"]


def test_folder_of_a_bucket(emo, uploaded, bucket, tmp_path):
    obstore.put(uploaded, "clips/.hidden/x.wav", b"")
    code, out, _ = emo("manifest", "folder", f"{bucket}/clips", "--out", "m.csv")
    assert (code, f"add --media {bucket}/clips" in out) == (0, True)
    there = (tmp_path / "m.csv").read_bytes()
    (tmp_path / "clips" / ".hidden").mkdir()
    emo("manifest", "folder", "clips", "--out", "clips/m.csv")
    assert there == (tmp_path / "clips" / "m.csv").read_bytes()
    found = read_manifest(tmp_path / "m.csv", root=f"{bucket}/clips")
    assert found.clips[0].audio == f"{bucket}/clips/c0.wav"
    assert "6 clips; 0 errors" in emo("check", "m.csv", "--media", f"{bucket}/clips")[1]
    obstore.delete(uploaded, "clips/c0.wav")
    code, out, _ = emo("check", "m.csv", "--media", f"{bucket}/clips", "--fast")
    assert (code, "no such object" in out) == (1, True)


def test_shards_of_webdataset(emo, tmp_path, waves):
    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        for name, data in {
            "./d/1.wav": waves["c0.wav"], "./d/1.txt": b"so glad\n", "./d/1.cls": b"3",
            "./d/1.json": b'{"speaker": "ann", "deep": {"x": 1}, "id": "no"}', "x": b"",
            "./d/2.front.wav": waves["c1.wav"], "notes.md": b"",
        }.items():  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert emo("manifest", "tar", "w.tar", "--out", "m.csv")[0] == 0
    one, two = read_manifest(tmp_path / "m.csv").clips
    assert (one.id, one.text, one.speaker, one.targets["label"]) == ("d/1", "so glad", "ann", "3")
    assert one.audio.startswith("w.tar!./d/1.wav@")
    assert two.id == "d/2"
    extract(emo, "m.csv", "--out", "f")
    assert len(tokens(tmp_path / "f")) == 2
    assert "no such file" in emo("manifest", "tar", "none.tar", "--out", "n.csv")[2]


@pytest.mark.parametrize(
    "cell",
    [
        "https://media.example/a.wav?X-Amz-Signature=0f3c", "https://me:word@media.example/a.wav",
        "s3://AKIA:word@bucket/a.wav", "https://media.example/a.wav#sig=0f3c",
        "http://media.example/a.wav?sig=0f3c", "ftp://me:word@media.example/a.wav",
        "s3://bucket/../a.wav", "s3://bucket", "https://media.example:bad/a.wav",
    ],
)  # fmt: skip
def test_urls_with_secrets_are_refused_and_not_shown(emo, tmp_path, cell):
    (tmp_path / "m.csv").write_text(f"id,audio\nc,{cell}\n")
    (tmp_path / "ok.csv").write_text("id,audio\nc,a.wav\n")
    for words in (("m.csv",), (cell + "/m.csv",), ("ok.csv", "--media", cell)):
        if cell == "s3://bucket" and words[0] != "m.csv":
            continue
        code, out, err = emo("extract", *words, "--backbone", "logmel", "--out", "f")
        assert code == 1, words
        for secret in ("0f3c", "word@", ":word", "AKIA"):
            assert secret not in out + err
    assert not [path for path in tmp_path.rglob("*") if path.name == "parts.jsonl"]


@pytest.fixture
def site(tmp_path_factory, monkeypatch, waves):
    pytest.importorskip("cryptography")
    server = HttpsServer(tmp_path_factory.mktemp("tls"), ["media.example"])
    server.pretend(monkeypatch)
    monkeypatch.setattr(https, "PAUSE_SECONDS", 0.001)
    server.files = {f"/{name}": data for name, data in waves.items()}
    yield server
    server.stop()


def test_media_by_https(emo, site, waves, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write(tmp_path / "m.csv", waves, "https://media.example/")
    (tmp_path / "clips").mkdir()
    for name, data in waves.items():
        (tmp_path / "clips" / name).write_bytes(data)
    write(tmp_path / "clips" / "m.csv", waves)
    extract(emo, "clips/m.csv", "--out", "here")
    assert "add --allow-host media.example" in extract(emo, "m.csv", "--out", "f", code=3)
    assert site.requests == []
    https.forget_hosts()
    site.answers["/c1.wav"] = ["half", 503]
    extract(emo, "m.csv", "--out", "f", "--retry-failed", "--allow-host", "media.example")
    assert tokens(tmp_path / "f") == tokens(tmp_path / "here")
    https.forget_hosts()
    job = tmp_path / "f/.jobs/0002"
    assert json.loads((job / "job.json").read_text())["hosts"] == ["media.example"]
    (job / "job.sig").unlink()
    code, _, err = emo("job", "run", job)
    assert (code, "--allow-host media.example" in err) == (1, True)
    assert emo("job", "run", job, "--allow-host", "media.example")[0] == 0


def test_parts_end_where_a_shard_would_be_divided():
    def shard(name, count):
        return [Clip(f"{name}{k}", video=f"{name}.tar!{k}.mp4") for k in range(count)]

    alone = [Clip("t", text="x")]
    assert list(part_starts([*shard("a", 3), *shard("b", 3), *shard("c", 9)], 4)) == [
        0,
        3,
        6,
        10,
        14,
    ]
    assert list(part_starts([*shard("a", 2), *shard("b", 2), *shard("c", 1)], 4)) == [0, 4]
    assert list(part_starts([*alone * 3, *shard("a", 3), *alone * 3], 4)) == [0, 3, 7]
    assert part_starts(alone * 9, 4) == range(0, 9, 4)
    mixed = [clip for pair in zip(shard("a", 3), shard("b", 3), strict=True) for clip in pair]
    assert [clip.id for clip in by_file(mixed)] == ["a0", "a1", "a2", "b0", "b1", "b2"]
    cells = ("a.tar!2.mp4@900+1", "a.tar!1.mp4@512+1")
    assert [c.id for c in by_file([Clip(v, video=v) for v in cells])] == [*reversed(cells)]


def test_what_of_a_shard_is_no_clip_is_said(emo, tmp_path):
    for name in ("x.tar", "y.tar"):
        with tarfile.open(tmp_path / name, "w") as tar:
            link, folder = tarfile.TarInfo("l.wav"), tarfile.TarInfo("d")
            link.type, link.linkname, folder.type = tarfile.SYMTYPE, "a.wav", tarfile.DIRTYPE
            tar.addfile(link)
            tar.addfile(folder)
            for member in ("a.wav", "a.wav", "n\nl.wav"):
                tar.addfile(tarfile.TarInfo(member))
    (tmp_path / "x.tar").write_bytes(2 * (tmp_path / "y.tar").read_bytes())
    code, out, _ = emo("manifest", "tar", "x.tar", "--out", "m.csv")
    assert code == 0
    assert out.count("x.tar: ") == 4
    for said in (
        "1 member of a name that occurred before; the last of each name counts: 'a.wav'",
        "1 member left out, which are links, sparse or special files: 'l.wav'",
        "bytes behind its end are not read, perhaps a second archive",
        "1 member left out, no manifest can hold the names: 'n\\nl.wav'",
    ):
        assert said in " ".join(out.split())
    assert len(read_manifest(tmp_path / "m.csv").clips) == 1
    assert "behind its end" not in emo("manifest", "tar", "y.tar", "--out", "y.csv")[1]


def test_names_that_no_cell_can_hold_are_left_out_and_said(emo, tmp_path, bucket, object_server):
    store = from_url(bucket, client_options={"allow_http": True})
    for name in ("q?m=1.wav", "a.wav", "x.tar!y.wav"):
        obstore.put(store, f"odd/{name}", b"x")
    code, out, _ = emo("manifest", "folder", f"{bucket}/odd", "--out", "m.csv")
    assert code == 0
    out = " ".join(out.split())
    assert "left out, no manifest can hold the names: 2: 'q?m=1.wav', 'x.tar!y.wav'" in out
    assert (tmp_path / "m.csv").read_text().splitlines()[1:] == ["a.wav"]
    (tmp_path / "near").mkdir()
    for name in ("a.wav", "x.tar!y.wav"):
        (tmp_path / "near" / name).write_bytes(b"x")
    out = emo("manifest", "folder", "near", "--out", "near.csv")[1]
    assert "no manifest can hold the names: 1: 'x.tar!y.wav'" in out
