"""A broken device counts as a worker's death: the clip that broke it is found, no other is lost."""

import os
from multiprocessing import Pipe

import numpy as np
import pytest
import torch

from emo.errors import EmoError
from emo.extract.backbone import Prepared
from emo.extract.executors._pool import WorkerDied, WorkerReady
from emo.extract.executors._process import serve
from emo.extract.job.folder import open_job
from emo.extract.job.request import requests_from_words
from emo.extract.models.device import BrokenDevice
from emo.extract.run import ExtractOptions, extract
from emo.extract.worker.encode import encode_batch, prepare_one, reason_of
from emo.manifest import Clip, Manifest
from emo.store.store import Store
from tests.make_backbone import Letters

REQUESTS = requests_from_words(["tests.make_backbone:Letters"])
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
BROKEN = getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: illegal memory access")


def manifest_of(folder, clips=12, bad=7):
    texts = ["!device" if k == bad else f"text {k}" for k in range(clips)]
    made = tuple(Clip(f"c{k:02}", text=text) for k, text in enumerate(texts))
    return Manifest(folder / "m.csv", folder, made, "")


def forked(manifest, store):
    """`emo extract` in a process of its own; returns what it said when it gave up, or ''."""
    read, write = os.pipe()
    if os.fork() == 0:
        said = "a traceback"
        try:
            options = ExtractOptions(part_clips=12, batch_clips=2)
            extract(manifest, store, REQUESTS, options, progress=False)
            said = ""
        except EmoError as error:
            said = str(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    os.wait()
    with os.fdopen(read) as file:
        return file.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked here; no fork on Windows")
def test_the_same_command_again_gives_up_only_the_clip_that_breaks_the_device(tmp_path):
    said = [forked(manifest_of(tmp_path), tmp_path / "store")]
    while said[-1]:
        assert "the device cpu broke (RuntimeError: CUDA error: unspecified" in said[-1]
        said.append(forked(manifest_of(tmp_path), tmp_path / "store"))
        assert len(said) < 8
    recipe = Store(tmp_path / "store").recipes["letters"]
    assert sorted(recipe.ids) == [f"c{k:02}" for k in range(12) if k != 7]
    assert "alone in the end: RuntimeError: CUDA error" in recipe.failures["c07"]


def test_a_worker_process_says_that_it_died_and_leaves_its_clips_in_the_journal(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(Letters, "is_device_broken", False)
    manifest = manifest_of(tmp_path)
    options = ExtractOptions("slurm", part_clips=12)
    extract(manifest, tmp_path / "store", REQUESTS, options, is_dry_run=True, progress=False)
    folder = open_job(tmp_path / "store")
    ours, theirs = Pipe()
    for part in (0, None, None):
        ours.send(part)
    serve(folder.path, "cpu", 1, theirs)
    heard = []
    while ours.poll():
        heard.append(ours.recv())
    assert {type(message) for message in heard} == {WorkerReady, WorkerDied}
    assert heard[-1].how == "RuntimeError: CUDA error: unspecified launch failure"
    assert folder.journal(0).in_hand() == {heard[0].by: [clip.id for clip in manifest.clips]}
    assert len(Store(tmp_path / "store").recipes["letters"].failures) == 0


class Stub:
    """Raises, for a clip whose value is listed; memory for ``room`` clips at once."""

    def __init__(self, errors, room=99):
        self.errors, self.room = errors, room

    def encode(self, batch):
        if len(batch) > self.room:
            raise FULL
        for clip in batch:
            if error := self.errors.get(int(clip["value"][0])):
                raise error
        return [{"out": clip["value"]} for clip in batch]

    def prepare(self, media):
        raise BROKEN


def batch(count):
    return {index: Prepared({"value": np.array([index])}) for index in range(count)}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_broken_device_is_no_failure_of_a_clip(count):
    with pytest.raises(BrokenDevice, match="illegal memory access"):
        encode_batch(Stub({0: BROKEN}), batch(count))
    with pytest.raises(BrokenDevice):
        reason_of(BROKEN)
    with pytest.raises(BrokenDevice):
        prepare_one(Stub({}), None)


def test_a_clip_too_large_for_the_memory_is_at_fault_where_its_neighbours_fit():
    found = encode_batch(Stub({1: FULL}), batch(3))
    assert [type(found[index]) for index in range(3)] == [dict, str, dict]
    assert "OutOfMemoryError" in found[1]
    assert "OutOfMemoryError" in encode_batch(Stub({0: FULL}), batch(1))[0]
    assert all(isinstance(one, dict) for one in encode_batch(Stub({}, room=1), batch(3)).values())


def test_where_no_clip_fits_the_device_is_at_fault():
    with pytest.raises(BrokenDevice, match="no memory for any of 3 clips"):
        encode_batch(Stub(dict.fromkeys(range(3), FULL)), batch(3))
