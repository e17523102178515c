"""Decodes a clip once for several backbones: a Source and their Needs in, Media out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from emo.errors import MediaError
from emo.extract.audio import Audio, read_audio
from emo.extract.container import open_media
from emo.extract.media import DetectFaces, Faces, Media, Needs
from emo.extract.tracks import Detections, main_face
from emo.extract.video import frame_seconds, read_frames


@dataclass(frozen=True)
class Source:
    """Where the media of one clip are; resolved paths."""

    video: Path | None = None
    audio: Path | None = None
    """A separate audio file; None: the audio is in ``video``."""
    audio_channel: str = "mix"
    """``mix``, ``left``, ``right`` or a 0-based number."""
    text: str | None = None
    start_seconds: float | None = None
    """Of the stretch, from the start of each file; None: from the first frame and sample."""
    end_seconds: float | None = None


def load_media(
    source: Source, needs: Sequence[Needs], *, detect: DetectFaces | None = None
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
    pictures = _Pictures(source, detect) if any(need.frames for need in needs) else None
    wanted = [pictures.want(need) if pictures else None for need in needs]
    if pictures:
        pictures.decode()
    audio = _audio(source) if any(need.audio for need in needs) else None
    return [
        _view(source, need, times, pictures, audio)
        for need, times in zip(needs, wanted, strict=True)
    ]


def probe_seconds(source: Source) -> float | None:
    """How long the clip lasts, as its headers say (they may lie); None: they say nothing."""
    path = source.video or source.audio
    if path is None:
        return None
    try:
        with open_media(path) as container:
            declared = container.duration / av.time_base if container.duration else None
    except MediaError:
        return None
    end = declared if source.end_seconds is None else source.end_seconds
    return None if end is None else max(0.0, end - (source.start_seconds or 0.0))


@dataclass
class _Pictures:
    """The frames that any backbone wants of one clip, decoded once, by their times."""

    source: Source
    detect: DetectFaces | None
    absent: str | None = None
    _times: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _frames: dict[float, tuple[np.ndarray, float]] = field(default_factory=dict)
    _detections: dict[tuple[float, ...], Detections] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.source.video is None:
            self.absent = "the clip has no video file"
            return
        times = frame_seconds(
            self.source.video,
            start_seconds=self.source.start_seconds,
            end_seconds=self.source.end_seconds,
        )
        if isinstance(times, str):
            self.absent = times
        else:
            self._times = times

    def want(self, need: Needs) -> tuple[float, ...]:
        """The times of the frames that ``need`` asks for, remembered for :meth:`decode`."""
        if self.absent or need.frames is None:
            return ()
        times = tuple(self._times[need.frames.indices(self._times)].tolist())
        self._frames.update({time: (np.zeros(0), time) for time in times})
        return times

    def decode(self) -> None:
        """Read all wanted frames."""
        if not self._frames or self.source.video is None:
            return
        wanted = np.array(sorted(self._frames))
        images, shown = read_frames(self.source.video, wanted)
        pairs = zip(images, shown.tolist(), strict=True)
        self._frames = dict(zip(wanted.tolist(), pairs, strict=True))

    def frames(self, times: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Frames (F, H, W, 3) wanted at ``times``, and the times (F,) at which they are shown."""
        pairs = [self._frames[time] for time in times]
        return np.stack([image for image, _ in pairs]), np.array([time for _, time in pairs])

    def faces(self, times: tuple[float, ...], need: Needs) -> Faces | str:
        """The main face in the frames at ``times``, or why there is none."""
        if need.faces is None or self.detect is None:
            raise ValueError("faces are needed, but load_media was given no detector")
        frames, seconds = self.frames(times)
        if times not in self._detections:
            self._detections[times] = self.detect(frames)
        return main_face(frames, seconds, self._detections[times], need.faces)


def _audio(source: Source) -> Audio | str:
    path = source.audio or source.video
    if path is None:
        return "the clip has no audio or video file"
    return read_audio(
        path,
        channel=source.audio_channel,
        start_seconds=source.start_seconds,
        end_seconds=source.end_seconds,
    )


def _view(
    source: Source,
    need: Needs,
    times: tuple[float, ...] | None,
    pictures: _Pictures | None,
    audio: Audio | str | None,
) -> Media:
    absent: dict[str, str] = {}
    frames = seconds = faces = None
    if pictures is not None and pictures.absent:
        absent |= {"video": pictures.absent} if need.frames and need.keep_frames else {}
        absent |= {"face": pictures.absent} if need.faces else {}
    elif pictures is not None and times:
        frames, seconds = pictures.frames(times) if need.keep_frames else (None, None)
        faces = pictures.faces(times, need) if need.faces else None
    if isinstance(faces, str):
        absent["face"], faces = faces, None
    if need.audio and isinstance(audio, str):
        absent["audio"] = audio
    heard = audio if need.audio and isinstance(audio, tuple) else (None, None)
    text = source.text if need.text and source.text and source.text.strip() else None
    if need.text and text is None:
        absent["text"] = "the clip has no text" if source.text is None else "the text is empty"
    return Media(frames, seconds, faces, heard[0], heard[1], text, absent)
