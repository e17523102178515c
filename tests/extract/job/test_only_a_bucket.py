"""A cluster that has nothing in common but a bucket: its workers are killed and others come."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emo.extract.job.files.files_of import files_of
from emo.extract.job.folder import open_job
from emo.extract.job.logs import read_logs
from emo.store.backend.location import location
from emo.store.part.reader import Part
from emo.store.store import Store
from tests.make import make_clip, tone

CLIPS, PART_CLIPS, WORKERS, KILLS = 144, 12, 3, 8
NODE = """
import os, socket
socket.gethostname = lambda: os.environ["NODE"]
import emo.extract.job.journal as journal
journal.FRESH_SECONDS = 6
"""
"""A machine of its own name; leases are short, so that the test is."""
REPOSITORY = Path(__file__).parents[3]
pytestmark = [pytest.mark.crash, pytest.mark.skipif(os.name == "nt", reason="kills groups")]


@pytest.fixture
def media(bucket, tmp_path):
    """A manifest and its clips, in a folder and in the bucket."""
    lines = ["id,audio"]
    for number in range(CLIPS):
        name = f"c{number:03}.wav"
        samples = tone(0.05 + 0.001 * number, 16000, 1)
        make_clip(tmp_path / name, video=False, samples=samples, audio_codec="pcm_s16le")
        (location(bucket) / "clips" / name).write_bytes((tmp_path / name).read_bytes())
        lines.append(f"c{number:03},{name}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    (location(bucket) / "m.csv").write_bytes((tmp_path / "m.csv").read_bytes())
    return bucket


class Nodes:
    """Machines of their own: an empty home and current folder each, and one worker."""

    def __init__(self, job: str, folder: Path) -> None:
        self.job, self.folder, self.count = job, folder, 0
        self.running: list[subprocess.Popen] = []
        self.printed: list[Path] = []
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(NODE)

    def start(self) -> None:
        self.count += 1
        home = self.folder / f"node{self.count}"
        home.mkdir()
        keep = {k: v for k, v in os.environ.items() if k.startswith("AWS_") or k == "PATH"}
        environment = {
            **keep, "HOME": str(home), "NODE": home.name, "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{self.folder / 'site'}:{REPOSITORY}",
        }  # fmt: skip
        self.printed.append(self.folder / f"{home.name}.txt")
        with self.printed[-1].open("w") as out:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "emo", "job", "work", self.job, "--workers", "1"],
                    cwd=home, env=environment, stdout=out, stderr=out, start_new_session=True,
                )
            )  # fmt: skip

    def kill_one(self) -> None:
        one = random.choice(self.running)
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()
        self.running.remove(one)


def test_three_workers_are_killed_and_replaced_and_the_bits_are_those_of_a_local_run(
    emo, media, tmp_path, object_server
):
    words = "--backbone", "logmel", "--part-clips", PART_CLIPS
    assert emo("extract", "m.csv", *words, "--out", "local")[0] == 0
    far = f"{media}/m.csv", "--media", f"{media}/clips/", "--out", f"{media}/f"
    assert emo("extract", *far, *words, "--executor", "queue")[0] == 0
    object_server.slow, object_server.slow_seconds = "/clips/", 0.3
    nodes, job = Nodes(f"{media}/f", tmp_path), open_job(f"{media}/f")
    try:
        for _ in range(WORKERS):
            nodes.start()
        for _ in range(KILLS):
            before = clips_logged(job)
            patience = time.monotonic() + 20
            while clips_logged(job) < before + 6 and time.monotonic() < patience:
                time.sleep(random.uniform(0.2, 1.5))
            nodes.kill_one()
            nodes.start()
        object_server.slow_seconds = 0.0
        codes = [one.wait(timeout=150) for one in nodes.running]
    finally:
        for one in nodes.running:
            one.kill()
    assert codes == [0] * WORKERS, [path.read_text() for path in nodes.printed]
    check_whole(media, tmp_path)
    claims = files_of(job.path / "claims")
    taken_over = [part for part in job.parts if max(claims.claims(f"{part:06}")) > 0]
    assert len(taken_over) >= 2, "the kills met no worker with a part in hand"
    status = emo("job", "status", f"{media}/f")[1]
    assert "12: 12 done, 0 running, 0 to do" in status
    assert f"{CLIPS}: {CLIPS} done (0 of them failed), 0 to do" in status
    for node in tmp_path.glob("node*/"):  # nothing is needed of a machine, and nothing is left
        assert {path.name for path in node.iterdir()} <= {".cache", ".config"}


def clips_logged(job) -> int:
    return sum(line["event"] == "clip" for line in read_logs(job.logs))


def check_whole(media, tmp_path):
    def hashes(place):
        tokens = Store(place).read("logmel/audio", sorted(Store(place).ids("logmel")))
        return [hashlib.sha256(each.tobytes()).hexdigest() for each in tokens]

    assert hashes(f"{media}/f") == hashes(tmp_path / "local")
    ids = [
        k for path in Store(f"{media}/f").recipes["logmel"].part_paths for k in Part(path).clip_ids
    ]
    assert (len(ids), len(set(ids))) == (CLIPS, CLIPS)
    secret = os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for path in every_object(location(f"{media}/f")):
        assert secret not in path.read_bytes(), path


def every_object(folder):
    for key, _ in folder.bucket.walk(folder.key):
        yield type(folder)(folder.root, key)
