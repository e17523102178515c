"""Windows of pictures and of sound show and sound the same time, whichever of them starts late."""

from dataclasses import asdict

import numpy as np
import pytest

from emo import plugins
from emo.extract.backbone import Backbone
from emo.extract.backbones.perceiver import Perceiver
from emo.extract.decode.decode import load_media
from emo.extract.decode.source import ClipSource
from emo.extract.job.request import Request
from emo.extract.media import Linspace, Needs, Rate, Windows
from emo.extract.run import extract
from emo.manifest import Clip, Manifest
from emo.store import Store
from tests.extract.decode.faulty_sound import melody
from tests.make import make_clip, number_of

RATE, SECONDS = 16000, 4.0


def film(path, *, sound_from=0.0, is_filled=False, pictures_from=0.0):
    """A film whose tracks may start late; or, filled, with silence instead."""
    sound = melody(SECONDS, RATE)[None, : round((SECONDS - sound_from) * RATE)]
    if is_filled:
        sound = np.pad(sound, ((0, 0), (round(sound_from * RATE), 0)))
    times = [pictures_from + k / 25 for k in range(round((SECONDS - pictures_from) * 25))]
    start = 0.0 if is_filled else sound_from
    return make_clip(
        path, times=times, samples=sound, audio_codec="pcm_s16le", sound_start_seconds=start
    )


@pytest.mark.parametrize("name", ["perceiver", "languagebind", "videollama", "classic", "logmel"])
def test_late_sound_gives_what_silence_before_it_gives(tmp_path, name):
    kind = plugins.load(plugins.BACKBONES, name, Backbone)
    backbone = kind.tiny()
    late = film(tmp_path / "late.mkv", sound_from=1.0)
    filled = film(tmp_path / "filled.mkv", sound_from=1.0, is_filled=True)
    prompt = film(tmp_path / "prompt.mkv")
    found = []
    for path in (late, filled, prompt):
        needs = kind.needs(backbone.options)
        detect = lambda frames: [(np.zeros((0, 4)), np.zeros(0))] * len(frames)  # noqa: E731
        (media,) = load_media(ClipSource(video=path, text="hi"), [needs], detect=detect)
        found.append(backbone.encode([backbone.prepare(media).inputs])[0])
    for stream, tokens in found[0].items():
        np.testing.assert_array_equal(tokens, found[1][stream], err_msg=stream)
    assert any(
        tokens.shape != found[2][stream].shape or (tokens != found[2][stream]).any()
        for stream, tokens in found[0].items()
    )


def test_a_store_of_late_sound_is_that_of_filled_sound(tmp_path):
    """Long enough for stretches: those before the sound starts are silence, too."""
    options = Perceiver.tiny().options
    film(tmp_path / "late.mkv", sound_from=2.5)
    film(tmp_path / "filled.mkv", sound_from=2.5, is_filled=True)
    clips = tuple(Clip(name, video=f"{name}.mkv") for name in ("late", "filled"))
    manifest = Manifest(tmp_path / "m.csv", tmp_path, clips, "")
    request = Request("p", "perceiver", asdict(options), Perceiver.recipe(options))
    assert extract(manifest, tmp_path / "store", [request], progress=False).exit_code == 0
    late, filled = Store(tmp_path / "store").read("p/label", ["late", "filled"])
    # rows of a batch may differ in the last bit, by which a float16 rounds the other way
    np.testing.assert_allclose(np.asarray(late), np.asarray(filled), rtol=1e-3, atol=1e-6)


def test_windows_of_late_pictures_are_those_of_the_sound(tmp_path):
    """A second without pictures has windows as well, of the first picture."""
    path = film(tmp_path / "a.mkv", pictures_from=1.0)
    rule = Windows(Rate(5, 10.0), 0.5, 0.5)
    media = load_media(ClipSource(video=path), [Needs(frames=rule, keep_frames=True, audio=True)])[
        0
    ]
    windows = media.frame_seconds.reshape(-1, 5)
    assert len(windows) == 8
    assert media.samples.shape[1] == pytest.approx(SECONDS * RATE, abs=2)
    np.testing.assert_allclose(windows[:2], 1.0, atol=1e-3)
    np.testing.assert_allclose(windows[2], 1.0 + np.arange(5) / 10, atol=0.1)
    np.testing.assert_allclose(windows[7], 3.5 + np.arange(5) / 10, atol=0.1)
    assert number_of(media.frames[0]) == 0


def test_windows_by_the_times_of_frames():
    regular = np.arange(40) / 10
    rule = Windows(Linspace(2), 1.0, 1.0)
    assert rule.indices(regular).tolist() == [0, 9, 10, 19, 20, 29, 30, 39]
    # one frame late, as after the priming of AAC: windows of the same time, no more of them
    assert rule.indices(regular + 0.021).tolist() == [0, 9, 10, 19, 20, 29, 30, 39]
    # pictures from 1.5 s on: windows of the time before show the first
    assert rule.indices(regular + 1.5).tolist() == [0, 0, 0, 4, 5, 14, 15, 24, 25, 34, 35, 39]
    # slides: a window shows what is shown at its start
    assert rule.indices(np.array([0.0, 2.5])).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    # a picture that is held from before the clip
    assert rule.indices(np.array([-3.0, 1.5, 1.6, 1.7, 1.8])).tolist() == [0, 0, 0, 4]


def test_frames_at_a_rate_start_late_with_the_pictures():
    rule = Rate(5, 10.0)
    assert rule.indices(np.arange(20) / 10).tolist() == [0, 1, 2, 3, 4]
    assert rule.indices(np.arange(20) / 10 + 0.03).tolist() == [0, 1, 2, 3, 4]
    assert rule.indices(np.arange(20) / 10 + 0.2).tolist() == [0, 0, 0, 1, 2]
