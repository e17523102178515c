"""On a CUDA device: the same numbers as on the processor, to tolerance. `make gpu` runs these."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from emo.extract.faces.detector import FaceDetector
from emo.extract.faces.integral_image import DeviceIntegralImage, IntegralImage
from emo.extract.job.request import requests_from_words
from emo.extract.models.device import DeviceCopies
from emo.extract.models.options import ModelOptions
from emo.extract.run import ExtractOptions, extract
from emo.manifest import Clip, Manifest
from emo.store.store import Store
from tests.extract.models.test_model import Toy
from tests.make import make_clip

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def device():
    """Skips where there is none, unless the environment says that there must be one."""
    if not torch.cuda.is_available():
        assert os.environ.get("EMO_REQUIRE_GPU") != "1", "EMO_REQUIRE_GPU=1, but CUDA has no device"
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.fixture(scope="module")
def frames():
    """(8, 256, 512, 3): two faces in each, moving."""
    face = np.asarray(Image.fromarray(data.astronaut()).crop((100, 0, 356, 256)))
    two = np.concatenate([face, face[:, ::-1]], axis=1)
    return np.stack([np.roll(two, 3 * k, axis=0) for k in range(8)])


def test_rows_go_there_and_back_in_many_batches(device):
    clips = [torch.randn(count, 64) for count in (300, 7, 1)]
    weight = torch.randn(64, 64)
    ours = Toy(ModelOptions(), device="cuda").run(lambda rows: rows @ weight.cuda(), clips)
    theirs = Toy(ModelOptions(), device="cpu").run(lambda rows: rows @ weight, clips)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
        assert a.device.type == "cpu"


def test_pinned_copies_return_what_was_sent(device):
    copies = DeviceCopies(device)
    rows = [torch.randn(1000, 100) for _ in range(20)]
    found = [copies.fetch(copies.send(each)) for each in rows]
    copies.wait()
    assert all(torch.equal(a, b) for a, b in zip(found, rows, strict=True))


def test_means_over_areas_are_the_same_bits(device, frames):
    ours, theirs = DeviceIntegralImage(frames, device), IntegralImage(frames)
    assert np.array_equal(ours.resized(100, 70).cpu().numpy(), theirs.resized(100, 70))


def test_faces_are_found_where_the_processor_finds_them(device, frames):
    ours, theirs = FaceDetector(device="cuda")(frames), FaceDetector()(frames)
    for (boxes, scores), (wanted, sure) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(boxes, wanted, atol=1.0)
        np.testing.assert_allclose(scores, sure, atol=1e-2)


def test_a_store_made_there_is_that_of_the_processor(device, frames, tmp_path):
    clips = []
    for k in range(6):
        make_clip(tmp_path / f"{k}.mp4", frames=list(np.roll(frames, 5 * k, axis=2)))
        clips.append(Clip(f"{k}", video=f"{k}.mp4"))
    manifest = Manifest(tmp_path / "m.csv", tmp_path, tuple(clips), "")
    requests = requests_from_words(["faces"])
    for device in ("cpu", "cuda"):
        options = ExtractOptions(device=device, part_clips=3)
        assert (
            extract(manifest, tmp_path / device, requests, options, progress=False).exit_code == 0
        )
    ids = [clip.id for clip in clips]
    ours, theirs = (
        Store(tmp_path / device).read("faces/face", ids).values.astype(float)
        for device in ("cuda", "cpu")
    )
    assert np.abs(ours - theirs).mean() < 2, "crops may move by a pixel"
