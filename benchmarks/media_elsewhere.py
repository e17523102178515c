"""The same clips as local files, as objects of a bucket and as tar shards: tokens, requests, bytes.

    python -m benchmarks.media_elsewhere --clips 2000 --shards 20

moto's S3 server runs in this process. Prints for each place the seconds, the requests and bytes
that a clip costs when the job is planned and when it runs, and whether its tokens are those of the
local files, bit by bit. Then nothing secret may stand in any file that was written.
"""

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
import obstore
from obstore.store import from_url

from emo.store.store import Store
from tests.make import make_clip
from tests.object_server import ObjectServer, Request

SECRET = "A-secret-that-no-file-may-hold"


def main() -> None:
    """Make the clips, extract them three times, compare."""
    options = argparse.ArgumentParser()
    options.add_argument("--clips", type=int, default=2000)
    options.add_argument("--shards", type=int, default=20)
    options.add_argument("--backbone", default="classic")
    options.add_argument("--workers", type=int, default=1)
    given = options.parse_args()
    server = ObjectServer()
    os.environ.update(server.environment() | {"AWS_SECRET_ACCESS_KEY": SECRET})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["EMO_CACHE"] = str(folder / "cache")
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        bucket = server.make_bucket("media")
        size = _make_media(folder, bucket, given.clips, given.shards)
        print(f"{given.clips} clips, {size / given.clips / 1e3:.1f} kB each")
        local = "clips", ("folder", "clips", "--out", "clips.csv"), ("clips.csv",)
        objects = "objects", (), ("clips/clips.csv", "--media", f"{bucket}/clips")
        numbers = f"{{0..{given.shards - 1}}}"
        far = ("tar", f"{bucket}/shards/{numbers}.tar", "--out", "far.csv")
        near = ("tar", f"shards/{numbers}.tar", "--out", "near.csv")
        kinds = {
            "local files": local,
            "objects": objects,
            "shards in the bucket": ("far", far, ("far.csv", "--media", f"{bucket}/shards")),
            "local shards": ("near", near, ("near.csv",)),
        }
        tokens = {}
        for kind, (out, make, words) in kinds.items():
            if make:
                _emo(folder, server, f"{kind}: manifest", given.clips, "manifest", *make)
            if kind == "local files":
                _plain_manifest(folder)
                words = ("clips/clips.csv",)
            _emo(
                folder, server, f"{kind}: extract", given.clips, "extract", *words, "--out",
                f"f-{out}", "--backbone", given.backbone, "--workers", str(given.workers),
            )  # fmt: skip
            again = ("extract", *words, "--out", f"f-{out}", "--backbone", given.backbone)
            _emo(folder, server, f"{kind}: again", given.clips, *again)
            tokens[kind] = _tokens(folder / f"f-{out}")
            first = tokens["local files"]
            same = tokens[kind] == first
            print(f"{kind}: {len(tokens[kind])} clips, tokens equal to local files: {same}")
            assert same
            assert len(first) == given.clips
        _search_secrets(folder)
    server.stop()


def _make_media(folder: Path, bucket: str, clips: int, shards: int) -> int:
    """Write the clips as files, objects and shards; return their bytes."""
    (folder / "clips").mkdir()
    (folder / "shards").mkdir()
    store = from_url(bucket, client_options={"allow_http": True})
    video = folder / "video.mp4"
    make_clip(video, seconds=0.5)
    total = 0
    for shard in range(shards):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for number in range(shard, clips, shards):
                is_video = number % 20 < 2
                name = f"{number:06}.{'mp4' if is_video else 'wav'}"
                data = video.read_bytes() if is_video else _tone(number)
                total += len(data)
                (folder / "clips" / name).write_bytes(data)
                obstore.put(store, f"clips/{name}", data)
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        (folder / "shards" / f"{shard}.tar").write_bytes(buffer.getvalue())
        obstore.put(store, f"shards/{shard}.tar", buffer.getvalue())
    return total


def _tone(number: int) -> bytes:
    times = np.arange(16000) / 16000
    samples = (8000 * np.sin(2 * np.pi * (100 + number) * times)).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return out.getvalue()


def _plain_manifest(folder: Path) -> None:
    """Write a manifest beside the clips, with the ids that the shards' clips get."""
    rows = ["id,video,audio"]
    for path in sorted((folder / "clips").glob("0*")):
        is_video = path.suffix == ".mp4"
        rows.append(f"{path.stem},{path.name if is_video else ''},{'' if is_video else path.name}")
    (folder / "clips" / "clips.csv").write_text("\n".join(rows) + "\n")


def _emo(folder: Path, server: ObjectServer, what: str, clips: int, *words: str) -> None:
    """Run a command and print what it cost."""
    heard: list[Request]
    began = time.monotonic()
    with server.heard() as heard:
        found = subprocess.run(
            [sys.executable, "-m", "emo", *words], cwd=folder, capture_output=True, text=True
        )
    seconds = time.monotonic() - began
    assert found.returncode == 0, found.stdout + found.stderr
    fetched = sum(each.bytes for each in heard)
    print(
        f"{what}: {seconds:.1f} s, {len(heard)} requests ({len(heard) / clips:.3f} a clip), "
        f"{fetched / 1e6:.1f} MB by ranges ({fetched / clips / 1e3:.1f} kB a clip)",
        flush=True,
    )


def _tokens(path: Path) -> dict[str, dict[str, bytes]]:
    """Return clip -> stream -> bytes of its tokens."""
    found: dict[str, dict[str, bytes]] = {}
    for name, recipe in Store(path).recipes.items():
        for stream in recipe.recipe.streams:
            having = [clip for clip in recipe.ids if clip not in recipe.failures]
            ragged = recipe.read_present(stream, having)
            for index, clip in enumerate(having):
                first, last = ragged.offsets[index : index + 2]
                data = np.ascontiguousarray(ragged.values[first:last]).tobytes()
                found.setdefault(clip, {})[f"{name}/{stream}"] = data
    return found


def _search_secrets(folder: Path) -> None:
    """Search every file that was written for the secret key."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    holding = [path for path in files if SECRET.encode() in path.read_bytes()]
    print(f"the secret key stands in {len(holding)} of {len(files)} files")
    assert not holding


if __name__ == "__main__":
    main()
