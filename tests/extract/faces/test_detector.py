from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from emo.extract.faces.detector import FaceDetector


@pytest.fixture(scope="module")
def detect():
    return FaceDetector()


@pytest.fixture(scope="module")
def portrait():
    """(256, 256, 3) uint8 with one face, about 100 pixels wide."""
    face = Image.fromarray(data.astronaut()).crop((100, 0, 356, 256))
    return np.asarray(face)


def test_a_face_is_found_where_it_is(detect, portrait):
    ((boxes, probabilities),) = detect(portrait[None])
    assert probabilities.shape == (1,)
    assert probabilities[0] > 0.99
    left, top, right, bottom = boxes[0]
    assert 60 < left < right < 190
    assert 30 < top < bottom < 210


def test_frames_with_and_without_faces_share_a_batch(detect, portrait):
    found = detect(np.stack([portrait, np.zeros_like(portrait), portrait]))
    assert [len(boxes) for boxes, _ in found] == [1, 0, 1]
    np.testing.assert_array_equal(found[0][0], found[2][0])


@pytest.mark.parametrize("size", [(1, 1), (19, 300), (20, 20), (21, 400)])
def test_tiny_frames_have_no_face_and_no_error(detect, size):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    assert [boxes.shape for boxes, _ in detect(frames)] == [(0, 4)] * 3


def test_boxes_are_the_same_bits_in_any_thread_and_with_any_number_of_them(detect, portrait):
    frames = np.stack([np.roll(portrait, 7 * k, axis=1) for k in range(4)])
    expected = [boxes.tobytes() for boxes, _ in detect(frames)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(detect, [frames] * 3))
        assert torch.get_num_threads() == 2  # left as it was
    finally:
        torch.set_num_threads(before)
    for found in results:
        assert [boxes.tobytes() for boxes, _ in found] == expected


def test_a_candidate_outside_its_frame_costs_only_that_frame(detect, portrait, monkeypatch):
    real = detect._mtcnn.detect

    def breaks_on_black(frames):  # as facenet-pytorch 2.5.3 does
        if (frames.reshape(len(frames), -1).max(axis=1) == 0).any():
            raise IndexError("The shape of the mask [3] at index 0 does not match")
        return real(frames)

    monkeypatch.setattr(detect._mtcnn, "detect", breaks_on_black)
    found = detect(np.stack([portrait, np.zeros_like(portrait)]))
    assert [len(boxes) for boxes, _ in found] == [1, 0]


def test_running_out_of_memory_is_not_a_missing_face(detect, portrait, monkeypatch):
    def no_memory(frames):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(detect._mtcnn, "detect", no_memory)
    with pytest.raises(RuntimeError, match="memory"):
        detect(portrait[None])
