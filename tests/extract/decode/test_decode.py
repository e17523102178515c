import numpy as np
import pytest

from emo.errors import MediaError
from emo.extract.decode.decode import load_media, probe_seconds
from emo.extract.decode.source import ClipSource
from emo.extract.media import FaceRule, Needs, Uniform
from tests.make import make_clip, number_of

FACES = Needs(frames=Uniform(4), faces=FaceRule(size=16))


class OneFace:
    """A detector that finds the same face in every frame, and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, frames):
        self.calls += 1
        return [(np.array([[8.0, 8, 40, 40]]), np.array([0.99]))] * len(frames)


def test_each_need_gets_its_own_view_of_one_decode(tmp_path):
    path = make_clip(tmp_path / "a.mkv", codec="ffv1")
    needs = [
        Needs(frames=Uniform(3), keep_frames=True),
        Needs(frames=Uniform(5), keep_frames=True, audio=True),
        Needs(audio=True, text=True),
    ]
    few, more, heard = load_media(ClipSource(video=path, text="What?!"), needs)
    assert [number_of(frame) for frame in few.frames] == [0, 6, 11]
    assert [number_of(frame) for frame in more.frames] == [0, 3, 6, 8, 11]
    np.testing.assert_allclose(more.frame_seconds, np.array([0, 3, 6, 8, 11]) / 12, atol=1e-3)
    assert (few.samples, few.text, heard.frames) == (None, None, None)
    assert heard.text == "What?!"
    np.testing.assert_array_equal(more.samples, heard.samples)
    assert few.absent == more.absent == heard.absent == {}


def test_two_needs_for_the_same_frames_share_one_detection(tmp_path):
    path = make_clip(tmp_path / "a.mp4", audio=False)
    detect = OneFace()
    larger = Needs(frames=Uniform(4), faces=FaceRule(size=32), keep_frames=True)
    small, large = load_media(ClipSource(video=path), [FACES, larger], detect=detect)
    assert detect.calls == 1
    assert small.faces.crops.shape == (4, 16, 16, 3)
    assert large.faces.crops.shape == (4, 32, 32, 3)
    assert (small.frames, len(large.frames)) == (None, 4)


def test_one_backbones_frames_never_change_anothers_faces(tmp_path):
    path = make_clip(tmp_path / "a.mp4", audio=False)
    seen = []

    def detect(frames):
        seen.append(frames.tobytes())
        return OneFace()(frames)

    load_media(ClipSource(video=path), [FACES], detect=detect)
    others = [Needs(frames=Uniform(7), faces=FaceRule()), Needs(frames=Uniform(2))]
    load_media(ClipSource(video=path), [FACES, *others], detect=detect)
    assert seen[0] == seen[1]


def test_audio_comes_from_the_separate_file(tmp_path):
    video = make_clip(tmp_path / "a.mp4", channels=2)
    audio = make_clip(tmp_path / "a.wav", video=False, sample_rate=8000, audio_codec="pcm_s16le")
    source = ClipSource(video=video, audio=audio)
    (media,) = load_media(source, [Needs(audio=True)])
    assert (media.samples.shape, media.sample_rate) == ((1, 8000), 8000)


def test_absences_carry_their_reasons(tmp_path):
    everything = Needs(frames=Uniform(2), faces=FaceRule(), keep_frames=True, audio=True, text=True)
    (media,) = load_media(ClipSource(text="  "), [everything], detect=OneFace())
    assert media.absent == {
        "video": "the clip has no video file",
        "face": "the clip has no video file",
        "audio": "the clip has no audio or video file",
        "text": "the text is empty",
    }
    wav = make_clip(tmp_path / "a.wav", video=False, audio_codec="pcm_s16le")
    (media,) = load_media(ClipSource(video=wav), [everything], detect=OneFace())
    assert media.absent["face"] == "the file has no video track"
    assert "audio" not in media.absent


def test_a_face_that_is_required_and_in_no_frame_is_an_absence(tmp_path):
    path = make_clip(tmp_path / "a.mp4")

    def detect(frames):
        return [(np.zeros((0, 4)), np.zeros(0))] * len(frames)

    need = Needs(frames=Uniform(4), faces=FaceRule(require_face=True))
    (media,) = load_media(ClipSource(video=path), [need], detect=detect)
    assert media.faces is None
    assert media.absent == {"face": "no face found in 4 frames (MTCNN at p >= 0.9)"}


def test_a_missing_file_is_a_failure(tmp_path):
    with pytest.raises(MediaError, match=r"no such file: .*nowhere\.mp4"):
        load_media(ClipSource(video=tmp_path / "nowhere.mp4"), [Needs(audio=True)])


def test_faces_without_a_detector_are_a_programming_error(tmp_path):
    path = make_clip(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="no detector"):
        load_media(ClipSource(video=path), [FACES])


def test_a_text_clip_opens_no_file(tmp_path):
    source = ClipSource(video=tmp_path / "nowhere.mp4", text="Hi")
    assert load_media(source, [Needs(text=True)])[0].text == "Hi"


def test_seconds_are_probed_from_the_headers(tmp_path):
    path = make_clip(tmp_path / "a.mkv", seconds=2)
    assert probe_seconds(ClipSource(video=path)) == pytest.approx(2, abs=0.1)
    assert probe_seconds(ClipSource(video=path, start_seconds=0.5, end_seconds=1.25)) == 0.75
    assert probe_seconds(ClipSource(text="Hi")) is None
    assert probe_seconds(ClipSource(video=tmp_path / "nowhere.mp4")) is None
