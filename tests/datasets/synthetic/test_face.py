import numpy as np
import pytest

from emo.datasets.synthetic.expression import TYPICAL, Expression, act
from emo.datasets.synthetic.face import render
from emo.datasets.synthetic.looks import LOOKS, MOODS
from emo.datasets.synthetic.plan import CLASSES
from emo.extract.faces.detector import FaceDetector


class _Still:
    """A generator from which every movement and deviation is 0."""

    def normal(self, size=None):
        return np.zeros(size or ())

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.full(size or (), high)


def still(name, opening=0.0, **changes):
    values = {**vars(TYPICAL[name]), **changes}
    expression = Expression(**{field: np.full(1, value) for field, value in values.items()})
    (frame,) = render(_Still(), LOOKS[0], expression, np.array([opening]), MOODS["neutral"])
    return frame.astype(int)


def test_mtcnn_finds_the_face_in_nearly_all_frames_of_every_speaker_and_class():
    frames = []
    for index, look in enumerate(LOOKS):
        for shown, name in enumerate(CLASSES):
            rng = np.random.default_rng([9, index, shown])
            seconds = np.array([0.0, 1.0])
            expression = act(rng, shown, seconds)
            frames += render(rng, look, expression, rng.uniform(size=2), MOODS[name])
    found = FaceDetector()(np.stack(frames))
    shares = [bool((probabilities >= 0.9).any()) for _, probabilities in found]
    assert np.mean(shares) >= 0.95


def test_frames_are_rgb_of_the_size_promised():
    frame = still("happy")
    assert frame.shape == (256, 256, 3)
    assert 60 < frame.mean() < 200


@pytest.mark.parametrize("name", ["angry", "happy", "sad"])
def test_an_expression_changes_the_face_and_not_the_room(name):
    change = np.abs(still(name) - still("neutral")).mean(axis=-1)
    assert change[60:210, 60:200].mean() > 3  # brows to mouth
    assert change[:, :15].mean() < 0.2


def test_closed_lips_hide_the_teeth():
    def white(closed):  # pixels of the mouth that are bright and colourless, as no skin is
        mouth = still("happy", closed=closed)[145:185, 85:165]
        return ((mouth.min(axis=-1) > 190) & (np.ptp(mouth, axis=-1) < 30)).sum()

    assert white(0.0) > 4 * white(1.0)


def test_the_jaw_opens_onto_the_dark():
    closed, opened = still("neutral", 0.0), still("neutral", 1.0)
    dark = [(frame[140:200, 80:180].max(axis=-1) < 60).sum() for frame in (closed, opened)]
    assert dark[1] > dark[0] + 80


def test_an_expression_rises_from_nearly_neutral():
    seconds = np.arange(30) / 12
    happy = act(np.random.default_rng(0), CLASSES.index("happy"), seconds)
    neutral = TYPICAL["neutral"].corners_up
    assert happy.corners_up[20] - neutral > 1.5 * (happy.corners_up[0] - neutral) > 0
    assert (happy.closed >= 0).all()
    assert (happy.closed <= 1).all()
