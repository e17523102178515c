"""Decodes a clip once for several backbones: a Source and their Needs in, Media out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from emo.errors import MediaError
from emo.extract.decode.array_file import read_array
from emo.extract.decode.audio import Audio, read_audio
from emo.extract.decode.container import declared_seconds, open_media
from emo.extract.decode.source import ClipSource
from emo.extract.decode.video import Picture, frame_seconds, read_pictures
from emo.extract.faces.tracks import Detections, main_face
from emo.extract.media import DetectFaces, Faces, Media, Needs

NO_VIDEO, NO_AUDIO = "the clip has no video file", "the clip has no audio or video file"


def load_media(
    source: ClipSource, needs: Sequence[Needs], *, detect: DetectFaces | None = None
) -> list[Media]:
    """Decode what all ``needs`` ask for in one pass and hand each its own view.

    Args:
        source: the files, the stretch and the text of the clip.
        needs: one a backbone; two that look for faces on the same frames share the detection.
        detect: finds faces; required when any of ``needs`` asks for faces.

    Returns:
        One Media for each of ``needs``. What the clip does not have is in ``Media.absent``.

    Raises:
        MediaError: a file is missing, damaged, or breaks while it is decoded.
    """
    pictures = None
    if any(need.frames for need in needs):
        pictures = Pictures(source, _times_of(source), detect)
    views = [pictures.view(need) for need in needs] if pictures else [None] * len(needs)
    if pictures:
        pictures.decode([view for view in views if view])
    audio = audio_of(source) if any(need.audio for need in needs) else None
    return [
        media_of(source, view, need, pictures, audio)
        for need, view in zip(needs, views, strict=True)
    ]


def probe_seconds(source: ClipSource) -> float | None:
    """How long the clip lasts, as its headers say (they may lie); None: they say nothing."""
    path = source.video or source.audio
    if path is None:
        return None
    try:
        with open_media(path) as container:
            declared = declared_seconds(container)
    except MediaError:
        return None
    end = declared if source.end_seconds is None else source.end_seconds
    return None if end is None else max(0.0, end - (source.start_seconds or 0.0))


@dataclass
class View:
    """What one backbone gets of the frames it wants."""

    need: Needs
    times: tuple[float, ...]
    shown: dict[float, float] = field(default_factory=dict)
    """Wanted time -> time of the frame that was decoded for it."""
    frames: dict[float, np.ndarray] = field(default_factory=dict)
    """Squashed and transformed as asked."""
    rgb: dict[float, np.ndarray] = field(default_factory=dict)
    """Whole frames, for faces."""

    def take(self, time: float, shown: float, picture: Picture) -> None:
        """Convert a decoded frame, when this view wants it."""
        if time not in self.wanted:
            return
        need, self.shown[time] = self.need, shown
        if need.faces is not None:
            self.rgb[time] = picture.rgb
        if need.keep_frames:
            image = picture.rgb if need.squash is None else picture.squashed(need.squash)
            self.frames[time] = image if need.transform is None else need.transform(image)

    @cached_property
    def wanted(self) -> frozenset[float]:
        """The times without order."""
        return frozenset(self.times)

    def stack(self, images: dict[float, np.ndarray]) -> np.ndarray:
        """One image for each wanted time, (F, …)."""
        return np.stack([images[time] for time in self.times])

    @property
    def seconds(self) -> np.ndarray:
        """(F,) of the frames that were shown."""
        return np.array([self.shown[time] for time in self.times])


@dataclass
class Pictures:
    """The frames that any backbone wants of one clip, decoded once."""

    source: ClipSource
    times: np.ndarray | str
    """Of all its frames, or why there are none."""
    detect: DetectFaces | None
    _detections: dict[tuple[float, ...], Detections] = field(default_factory=dict)

    @property
    def absent(self) -> str | None:
        """Why there are no frames."""
        return self.times if isinstance(self.times, str) else None

    def view(self, need: Needs) -> View:
        """Which frames ``need`` asks for."""
        if isinstance(self.times, str) or need.frames is None:
            return View(need, ())
        return View(need, tuple(self.times[need.frames.indices(self.times)].tolist()))

    def decode(self, views: Sequence[View]) -> None:
        """Read each wanted frame once and hand it to all views."""
        wanted = np.array(sorted({time for view in views for time in view.times}))
        if not len(wanted) or self.source.video is None:
            return
        pictures = read_pictures(self.source.video, wanted)
        for time, (shown, picture) in zip(wanted.tolist(), pictures, strict=True):
            for view in views:
                view.take(time, shown, picture)

    def faces(self, view: View) -> Faces | str:
        """The main face in the frames of ``view``, or why there is none."""
        assert view.need.faces is not None
        frames = view.stack(view.rgb)
        if view.need.faces.mode == "centre":
            return main_face(frames, view.seconds, [], view.need.faces)
        if self.detect is None:
            raise ValueError("faces are needed, but load_media was given no detector")
        if view.times not in self._detections:
            self._detections[view.times] = self.detect(frames)
        return main_face(frames, view.seconds, self._detections[view.times], view.need.faces)


def _times_of(source: ClipSource) -> np.ndarray | str:
    if source.video is None:
        return NO_VIDEO
    return frame_seconds(
        source.video, start_seconds=source.start_seconds, end_seconds=source.end_seconds
    )


def audio_of(source: ClipSource) -> Audio | str:
    """The samples of a clip, or why there are none."""
    path = source.audio or source.video
    if path is None:
        return NO_AUDIO
    return read_audio(
        path,
        channel=source.audio_channel,
        start_seconds=source.start_seconds,
        end_seconds=source.end_seconds,
    )


def media_of(
    source: ClipSource, view: View | None, need: Needs, pictures: Pictures | None,
    audio: Audio | str | None,
) -> Media:  # fmt: skip
    """What one backbone gets of a clip, once everything is decoded."""
    absent: dict[str, str] = {}
    frames = seconds = faces = None
    if pictures is not None and pictures.absent:
        absent |= {"video": pictures.absent} if need.frames and need.keep_frames else {}
        absent |= {"face": pictures.absent} if need.faces else {}
    elif pictures is not None and view is not None and view.times:
        frames, seconds = (
            (view.stack(view.frames), view.seconds) if need.keep_frames else (None,) * 2
        )
        faces = pictures.faces(view) if need.faces else None
    if isinstance(faces, str):
        absent["face"], faces = faces, None
    if need.audio and isinstance(audio, str):
        absent["audio"] = audio
    heard = audio if need.audio and isinstance(audio, tuple) else (None, None)
    text = source.text if need.text and source.text and source.text.strip() else None
    if need.text and text is None:
        absent["text"] = "the clip has no text" if source.text is None else "the text is empty"
    array = read_array(source.cells, source.root, need) if need.array else None
    if isinstance(array, str):
        absent["array"], array = array, None
    return Media(frames, seconds, faces, heard[0], heard[1], text, array, absent)
