"""kill -9 at any moment: no torn part is ever visible, and one more run makes the store whole."""

import hashlib
import os
import random
import signal
import time

import pytest

from emo.extract.job import asks_from_words
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store.maintain import verify
from emo.store.store import Store
from tests.make import make_clip, tone

CLIPS = 27
ASKS = asks_from_words(["logmel"])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root = tmp_path_factory.mktemp("media")
    for k in range(CLIPS):
        samples = tone(0.1 + 0.01 * k, 16000, 1)
        make_clip(root / f"{k:02}.wav", video=False, samples=samples, audio_codec="pcm_s16le")
    (root / "empty.wav").write_bytes(b"")
    names = [*(f"{k:02}.wav" for k in range(CLIPS)), "empty.wav"]
    clips = tuple(Clip(name, video=name) for name in names)
    made = Manifest(root / "m.csv", root, clips, "")
    extract(made, root / "warm", ASKS, ExtractOptions(part_clips=4), progress=False)  # imports all
    return made


def forked_run(manifest, store):
    """A worker forked after its imports, as a process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            extract(manifest, store, ASKS, ExtractOptions(part_clips=4), progress=False)
            code = 0
        finally:
            os._exit(code)
    return pid


def timed_run(manifest, store):
    began = time.monotonic()
    os.waitpid(forked_run(manifest, store), 0)
    return time.monotonic() - began


def hashes(store):
    folder = Store(store).recipes["logmel"]
    ids = list(folder.ids)
    assert len(ids) == len(set(ids))
    tokens = folder.read("audio", ids)
    return {k: hashlib.sha256(t.tobytes()).hexdigest() for k, t in zip(ids, tokens, strict=True)}


def kill_many(manifest, folder, kills, seed):
    run_seconds = min(timed_run(manifest, folder / f"whole{k}") for k in range(5))
    expected = hashes(folder / "whole0")
    assert sorted(expected) == [clip.id for clip in manifest.clips[:CLIPS]]
    moments = random.Random(seed)
    inside = 0
    for k in range(kills):
        store = folder / f"s{k}"
        pid = forked_run(manifest, store)
        time.sleep(moments.uniform(0, run_seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        inside += any(store.glob("logmel/.tmp-*"))
        if (store / "logmel" / "recipe.json").exists():
            assert verify(Store(store)).problems == []
        os.waitpid(forked_run(manifest, store), 0)
        assert hashes(store) == expected
        assert set(Store(store).recipes["logmel"].failures) == {"empty.wav"}
        assert not any(store.glob("logmel/.tmp-*"))
    return inside


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here; no fork on Windows")
def test_twenty_kills_leave_nothing_torn_and_nothing_lost(manifest, tmp_path):
    kill_many(manifest, tmp_path, 20, seed=0)


@pytest.mark.crash
@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here; no fork on Windows")
def test_two_hundred_kills_leave_nothing_torn_and_nothing_lost(manifest, tmp_path, capsys):
    inside = kill_many(manifest, tmp_path, 200, seed=1)
    with capsys.disabled():
        print(f"\n200 kills, {inside} of them inside write-fsync-link")
    assert inside >= 20
