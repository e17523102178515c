"""The fast path of MTCNN on a CPU gives the bits of torch and of facenet-pytorch."""

import ctypes
import sys

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data
from torch.nn.functional import interpolate

from emo.extract.faces.integral_image import DeviceIntegralImage, IntegralImage
from emo.extract.faces.mtcnn import BatchedMtcnn, RowHalving, RowPReLU
from emo.machine.memory import keep_freed_memory

sides = st.integers(1, 70)


def as_torch(frames):
    """(F, H, W, 3) uint8 -> (F, 3, H, W) as facenet-pytorch has it."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float()


def drawn(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def equal(ours, theirs):
    return np.array_equal(ours, theirs.permute(0, 2, 3, 1).numpy())


@given(height=sides, width=sides, to_height=sides, to_width=sides)
@settings(max_examples=60, deadline=None)
def test_resizing_by_areas_is_torchs_to_the_bit(height, width, to_height, to_width):
    assume((to_height, to_width) != (1, 1))  # torch takes the mean in another order there
    frames = drawn(height * 71 + width, 2, height, width)
    theirs = interpolate(as_torch(frames), size=(to_height, to_width), mode="area")
    assert equal(IntegralImage(frames).resized(to_height, to_width), theirs)


def test_many_crops_at_once_are_torchs_to_the_bit():
    frames, rng = drawn(0, 3, 50, 90), np.random.default_rng(1)
    corners = rng.integers(0, [90, 50], (40, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1)
    owners = rng.integers(0, 3, 40)
    ours = IntegralImage(frames).crops(owners, boxes, 24)
    for crop, owner, (x0, y0, x1, y1) in zip(ours, owners, boxes, strict=True):
        picture = as_torch(frames[owner : owner + 1])[:, :, y0:y1, x0:x1]
        assert equal(crop[None], interpolate(picture, size=(24, 24), mode="area"))


def on_device(frames):
    """The code of a GPU, run on the CPU."""
    return DeviceIntegralImage(frames, torch.device("cpu"))


@pytest.mark.parametrize("areas", [IntegralImage, on_device])
def test_a_white_frame_larger_than_int32_counts_is_white(areas):
    frames = np.full((1, 3000, 3000, 3), 255, np.uint8)  # sums of 2.3e9 wrap around
    assert (np.asarray(areas(frames).resized(20, 20)) == 255).all()


@given(height=sides, width=sides, to_height=sides, to_width=sides)
@settings(max_examples=30, deadline=None)
def test_the_areas_of_a_gpu_are_the_same_bits(height, width, to_height, to_width):
    frames = drawn(height * 73 + width, 2, height, width)
    ours, theirs = on_device(frames), IntegralImage(frames)
    wanted = theirs.resized(to_height, to_width)
    assert np.array_equal(ours.resized(to_height, to_width).numpy(), wanted)
    rng = np.random.default_rng(height)
    corners = rng.integers(0, [width, height], (9, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1)
    owners = rng.integers(0, 2, 9)
    assert np.array_equal(ours.crops(owners, boxes, 24).numpy(), theirs.crops(owners, boxes, 24))


@pytest.mark.parametrize("shape", [(1, 10, 2, 2), (2, 10, 31, 17), (3, 4, 1, 1), (1, 10, 8, 1)])
def test_layers_over_rows_are_torchs_to_the_bit(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(memory_format=torch.channels_last)
    layer = torch.nn.PReLU(shape[1])
    with torch.inference_mode():
        layer.weight.copy_(torch.randn(shape[1], generator=generator))
        assert torch.equal(RowPReLU(layer)(x), layer(x))
        pooled = torch.nn.MaxPool2d(2, 2, ceil_mode=True)(x)
        assert torch.equal(RowHalving()(x), pooled)


@pytest.fixture(scope="module")
def mtcnn():
    return lambda: MTCNN(keep_all=True).eval().to(memory_format=torch.channels_last)


@pytest.mark.parametrize("areas", [IntegralImage, on_device])
@pytest.mark.parametrize("side", [64, 150, 256])
def test_boxes_are_facenet_pytorchs_to_the_bit(mtcnn, side, areas):
    face = Image.fromarray(data.astronaut()).crop((100, 0, 356, 256)).resize((side, side))
    image = np.asarray(face)
    two = np.concatenate([image, image[:, ::-1]], axis=1)
    frames = np.stack([two, np.roll(two, 9, axis=0), np.zeros_like(two)])
    batched = BatchedMtcnn(mtcnn())
    batched._integral_image = areas
    with torch.inference_mode():
        theirs, ours = mtcnn().detect(frames), batched.detect(frames)
    for kind in range(2):
        for a, b in zip(ours[kind], theirs[kind], strict=True):
            if a is None:
                assert b is None or list(b) == [None]
            else:
                np.testing.assert_array_equal(a, b.astype(np.float32))
    assert [boxes is not None and len(boxes) for boxes in ours[0]] == [2, 2, False]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="keeping freed memory is asked of glibc"
)
def test_glibc_agrees_to_keep_memory():
    assert keep_freed_memory() == hasattr(ctypes.CDLL(None), "mallopt")
