import numpy as np
import pytest

from emo.extract.faces.tracks import crop, main_face
from emo.extract.media import FaceRule

RULE = FaceRule(size=8)


def frames(count, size=(100, 80)):
    """Every pixel of frame k is 10 * k, so that a crop tells which frame it came from."""
    return np.stack([np.full((size[1], size[0], 3), 10 * k, np.uint8) for k in range(count)])


def boxes(*corners, probability=0.99):
    return np.array(corners, float).reshape(-1, 4), np.full(len(corners), probability)


def sources(faces):
    return (faces.crops[:, 4, 4, 0] // 10).tolist()


def test_the_track_follows_one_face_and_not_the_largest_of_each_frame():
    moving = [(0, 0, 20, 20), (12, 0, 32, 20), (24, 0, 44, 20)]
    other = (60, 40, 88, 68)  # larger, but only in one frame
    found = [boxes(moving[0]), boxes(other, moving[1]), boxes(moving[2])]
    images = frames(3)
    images[1, 40:68, 60:88] = 200
    faces = main_face(images, np.arange(3.0), found, RULE)
    assert faces.found.tolist() == [True, True, True]
    assert sources(faces) == [0, 1, 2]


def test_a_frame_without_the_face_gets_the_nearest_crop_within_a_second_else_its_own_centre():
    found = [boxes((0, 0, 20, 20)), boxes(), boxes(), boxes()]
    faces = main_face(frames(4), np.array([0, 0.6, 1.0, 1.4]), found, RULE)
    assert faces.found.tolist() == [True, False, False, False]
    assert sources(faces) == [0, 0, 0, 3]


def test_every_face_of_every_frame_from_left_to_right():
    images = frames(3)
    images[0, :20, 40:60] = 250
    found = [boxes((40, 0, 60, 20), (0, 0, 20, 20)), boxes(), boxes((0, 0, 20, 20))]
    faces = main_face(images, np.arange(3.0), found, FaceRule(8, mode="all"))
    assert sources(faces) == [0, 25, 2]
    assert faces.found.tolist() == [True, False, True]


def test_the_largest_face_of_each_frame_whoever_it_is():
    images = frames(2)
    images[1, 40:68, 60:88] = 200
    found = [boxes((0, 0, 20, 20)), boxes((60, 40, 88, 68), (0, 0, 20, 20))]
    faces = main_face(images, np.arange(2.0), found, FaceRule(8, mode="largest"))
    assert sources(faces) == [0, 20]


def test_the_centre_needs_no_detection():
    faces = main_face(frames(2), np.arange(2.0), [], FaceRule(8, mode="centre"))
    assert sources(faces) == [0, 1]
    assert not faces.found.any()


def test_a_clip_without_faces_gets_the_centres_of_its_frames():
    faces = main_face(frames(2), np.arange(2.0), [boxes(), boxes()], RULE)
    assert faces.found.tolist() == [False, False]
    assert sources(faces) == [0, 1]


def test_improbable_and_degenerate_boxes_are_no_faces():
    found = [
        boxes((0, 0, 20, 20), probability=0.89),
        boxes((5, 5, 5, 30)),
        boxes((200, 200, 240, 240)),
    ]
    words = main_face(frames(3), np.arange(3.0), found, FaceRule(8, require_face=True))
    assert words == "no face found in 3 frames (MTCNN at p >= 0.9)"
    faces = main_face(frames(3), np.arange(3.0), found, FaceRule(8, min_probability=0.5))
    assert faces.found.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((40, 30, 50, 50), 0.0, (35, 30, 55, 50)),  # the longer side makes the square
        ((40, 30, 50, 50), 0.5, (25, 20, 65, 60)),  # half a side more on each side
        ((90, 60, 110, 80), 0.0, (90, 60, 100, 80)),  # clipped at the border
    ],
)
def test_a_crop_is_the_square_around_the_box(box, margin, expected):
    x0, y0, x1, y1 = expected
    frame = np.zeros((80, 100, 3), np.uint8)
    frame[y0:y1, x0:x1] = 255
    assert (crop(frame, np.array(box, float), FaceRule(8, margin)) == 255).all()
    frame[y0, x0:x1] = 0  # the outermost row belongs to it
    assert (crop(frame, np.array(box, float), FaceRule(8, margin))[0] < 255).any()
