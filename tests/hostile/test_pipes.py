"""A pipe or a device in place of a file of media or weights: the clip fails, and nothing waits."""

import os
import signal

import pytest

from emo.errors import MediaError, WeightsError
from emo.extract.decode.array_file import read_array
from emo.extract.decode.decode import load_media, probe_seconds
from emo.extract.decode.source import ClipSource
from emo.extract.media import Needs, Uniform
from emo.extract.models.weights import WeightFile, Weights, locate_weights

PICTURES, SOUND = Needs(frames=Uniform(2), keep_frames=True), Needs(audio=True)


@pytest.fixture(autouse=True)
def not_waiting():
    """Break off a test that waits for the other end of a pipe."""

    def stop(*_):
        raise AssertionError("it waits for the other end of a pipe")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["a pipe", "a device"])
def odd(request, tmp_path):
    """A function that puts the odd thing at a path, and its name."""

    def put(path):
        if request.param == "a pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        return path

    return put, request.param


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.mjpeg", "a.wav"])
def test_media(odd, tmp_path, name):
    put, what = odd
    path = put(tmp_path / name)
    for source in (ClipSource(video=path), ClipSource(audio=path)):
        assert probe_seconds(source) is None
        with pytest.raises(MediaError, match=f"{name}: it is {what}, not a regular file"):
            load_media(source, [PICTURES if source.video else SOUND])


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_arrays(odd, tmp_path, name):
    put, what = odd
    put(tmp_path / name)
    found = read_array({"features": name}, tmp_path, Needs(array="features"))
    assert isinstance(found, str)
    assert f"it is {what}, not a regular file" in found


def test_weights(odd, tmp_path):
    put, what = odd
    put(tmp_path / "model.safetensors")
    found = locate_weights(Weights("own", str(tmp_path), (WeightFile(("model.safetensors",)),)))
    with pytest.raises(WeightsError, match=f"it is {what}, not a regular file"):
        assert found.digest
