"""kill -9 in every phase: no torn part is ever visible, and one more run makes the store whole."""

import hashlib
import os
import random
import time
from collections import Counter, defaultdict

import pytest

from emo.extract.job.folder import latest_job
from emo.extract.job.logs import read_logs
from emo.extract.job.request import requests_from_words
from emo.extract.run import ExtractOptions, extract
from emo.machine.table import format_table
from emo.manifest import Clip, Manifest
from emo.store.maintain.verify import verify
from emo.store.store import Store
from tests.forked import Phase, calls_of, forked
from tests.make import make_clip, tone

PHASES = (
    Phase("plan", "emo.extract.job.folder:write_lines", "after"),
    Phase("decode", "emo.extract.worker.decoding.prepare:load_segments"),
    Phase("encode", "emo.extract.worker.encode:encode_batch"),
    Phase("add", "emo.store.part.writer:PartWriter.add"),
    Phase("write", "emo.store.part.writer:write_members", "half way"),
    Phase("fsync", "os:fsync"),
    Phase("link", "os:link"),
    Phase("unlink", "os:link", "after"),
    Phase("journal", "emo.extract.job.journal:Journal.end"),
)
ANY = "any moment"
GOOD, PART_CLIPS = 15, 4
REQUESTS = requests_from_words(["logmel"])
OPTIONS = ExtractOptions(part_clips=PART_CLIPS)
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="workers are forked; not on Windows"
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root = tmp_path_factory.mktemp("media")
    names = [*(f"{k:02}.wav" for k in range(GOOD)), "empty.wav"]
    for k, name in enumerate(names[:GOOD]):
        samples = tone(0.1 + 0.01 * k, 16000, 1)
        make_clip(root / name, video=False, samples=samples, audio_codec="pcm_s16le")
    (root / "empty.wav").write_bytes(b"")
    return Manifest(root / "m.csv", root, tuple(Clip(name, video=name) for name in names), "")


@pytest.fixture(scope="module")
def expected(manifest, tmp_path_factory):
    """Hashes of a run that nobody disturbed; it imports what the children will need."""
    store = tmp_path_factory.mktemp("whole") / "store"
    assert runs(manifest, store)() == 3  # empty.wav
    found = hashes(store)
    assert sorted(found) == [clip.id for clip in manifest.clips[:GOOD]]
    return found


def runs(manifest, store):
    return lambda: extract(manifest, store, REQUESTS, OPTIONS, progress=False).exit_code


def hashes(store):
    folder = Store(store).recipes["logmel"]
    ids = list(folder.ids)
    assert len(ids) == len(set(ids))
    tokens = folder.read("audio", ids)
    return {k: hashlib.sha256(t.tobytes()).hexdigest() for k, t in zip(ids, tokens, strict=True)}


def committed(store):
    """Clips that a reader finds, failed ones too; every byte of every part is checked."""
    if not (store / "logmel" / "recipe.json").exists():
        return set()
    checked = verify(Store(store))
    assert checked.problems == []
    assert checked.recipes[0].overlaps == 0
    folder = Store(store).recipes["logmel"]
    return {*folder.ids, *folder.failures}


def done(store):
    """Clip -> part, of what the workers of the newest job say that they did."""
    job = latest_job(store)
    lines = read_logs(job / "logs") if job else ()
    return {line["clip"]: line["part"] for line in lines if line["event"] == "clip"}


def after_a_kill(manifest, store, expected):
    """Check every law; returns (parts visible, temporary files left, clips done in vain)."""
    there, job = committed(store), latest_job(store)
    lost = {clip: part for clip, part in done(store).items() if clip not in there}
    assert len(set(lost.values())) <= 1  # the part in hand
    parts, left = (len(list(store.glob(f"logmel/{name}*"))) for name in ("part-", ".tmp-"))
    assert left <= 1
    assert runs(manifest, store)() == 3  # here: a fork of this process costs as much as the run
    if latest_job(store) != job:
        assert done(store).keys() == {clip.id for clip in manifest.clips} - there
    assert len(committed(store)) == len(manifest.clips)
    assert hashes(store) == expected
    assert set(Store(store).recipes["logmel"].failures) == {"empty.wav"}
    assert not any(store.glob("logmel/.tmp-*"))
    return parts, left, len(lost)


def kill_many(manifest, folder, expected, each, seed):
    """Kill ``each`` runs in every phase, and as many at any moment; returns the table's rows."""
    moments, found = random.Random(seed), defaultdict(list)
    counts = {
        phase: calls_of(runs(manifest, folder / f"count-{phase.name}"), phase) for phase in PHASES
    }
    assert all(counts.values()), counts
    began = time.monotonic()
    forked(runs(manifest, folder / "timed")).end()
    run_seconds = time.monotonic() - began
    for k in range(each):
        for phase in PHASES:
            store = folder / f"{phase.name}-{k}"
            nth = moments.randint(1, counts[phase])
            child = forked(runs(manifest, store), phase, nth)
            assert child.waits(), f"{phase.name}, {nth} of {counts[phase]}"
            child.kill()
            found[phase.name].append(after_a_kill(manifest, store, expected))
        store = folder / f"any-{k}"
        child = forked(runs(manifest, store))
        time.sleep(moments.uniform(0, run_seconds))
        child.kill()
        found[ANY].append(after_a_kill(manifest, store, expected))
    return found


def table(found):
    rows: list[dict[str, object]] = []
    for name, kills in found.items():
        parts, left, lost = zip(*kills, strict=True)
        rows.append(
            {
                "killed in": name,
                "kills": len(kills),
                "parts visible": " ".join(f"{n}:{c}" for n, c in sorted(Counter(parts).items())),
                "left a temporary": sum(left),
                "clips in vain, mean": round(sum(lost) / len(lost), 1),
                "at most": max(lost),
            }
        )
    return format_table(rows)


@pytest.mark.crash
def test_kills_in_every_phase_leave_nothing_torn_and_nothing_lost(manifest, expected, tmp_path):
    found = kill_many(manifest, tmp_path, expected, 2, seed=0)
    assert all(left for _, left, _ in found["write"] + found["unlink"])


def test_a_writer_that_is_killed_does_no_harm_to_its_neighbour(manifest, expected, tmp_path):
    """Two whole runs on one store; the second ends it alone, with no third run."""
    for phase in PHASES:
        store = tmp_path / phase.name
        one = forked(runs(manifest, store), phase, 1)
        assert one.waits()
        other = forked(runs(manifest, store))
        one.kill()
        assert other.end() == 3
        assert len(committed(store)) == len(manifest.clips)
        assert hashes(store) == expected


@pytest.mark.crash
def test_a_thousand_kills_leave_nothing_torn_and_nothing_lost(manifest, expected, tmp_path, capsys):
    each = 1000 // (len(PHASES) + 1)
    began = time.monotonic()
    found = kill_many(manifest, tmp_path, expected, each, seed=1)
    with capsys.disabled():
        print(f"\n{sum(map(len, found.values()))} times SIGKILL; parts visible as parts:kills")
        print(f"{table(found)}\n{time.monotonic() - began:.0f} s")
    assert all(len(kills) >= 50 for kills in found.values())
