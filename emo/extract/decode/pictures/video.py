"""Decode the selected frames of a clip in one sequential pass and keep no others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import MediaError
from emo.extract.decode.container import open_media
from emo.extract.decode.pictures.damage import Damage
from emo.extract.decode.pictures.decoder import decoded_frames
from emo.extract.decode.pictures.display import (
    Orientation,
    StoredFrame,
    orientation_of,
    pixel_aspect_of,
)
from emo.extract.decode.pictures.frame_list import FrameList, list_frames
from emo.extract.decode.pictures.picture import Picture
from emo.extract.decode.pictures.still import read_still
from emo.extract.decode.sources.media_file import MediaPath
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
else:
    av = late("av")

_TOLERANCE_SECONDS = 1.0  # a frame that cannot be decoded is replaced by one at most so far away


def frame_seconds(
    path: MediaPath, *, start_seconds: float | None = None, end_seconds: float | None = None
) -> np.ndarray | str:
    """Return the times of a stretch's frames; see :func:`list_frames`.

    Args:
        path: a media file.
        start_seconds: start of the stretch, from the start of the file; None: the first frame.
        end_seconds: end of the stretch (exclusive); None: the end of the file.

    Returns:
        float64 (n,), rising, in seconds from the start of the file; or why there are no frames.

    Raises:
        MediaError: the file cannot be read, or ends long before its own index says.
    """
    listed = list_frames(path, start_seconds=start_seconds, end_seconds=end_seconds)
    return listed if isinstance(listed, str) else listed.within(start_seconds, end_seconds)


def read_pictures(
    path: MediaPath,
    wanted_seconds: np.ndarray,
    listed: FrameList | None = None,
    damage: Damage | None = None,
) -> Iterator[tuple[float, Picture]]:
    """Decode the frames shown at the selected times.

    A frame that the decoder leaves out is replaced by the nearest decoded one. Pictures are turned
    and mirrored as the file's display matrix says, and their pixels are made square. If the picture
    size changes within the track, later pictures are scaled to the first size.

    Args:
        path: a file with a video track.
        wanted_seconds: float64 (F,), rising times from :func:`frame_seconds`.
        listed: the list that the times are from; None: the file is listed anew.
        damage: damaged pictures are noted in it.

    Yields:
        For each of the F times the time of the decoded frame and its picture.

    Raises:
        MediaError: decoding broke before the last wanted frame; the message says at which second.
    """
    shape: tuple[int, int] | None = None
    for seconds, stored in shown_frames(path, wanted_seconds, listed, damage):
        picture = Picture(stored, shape)
        shape = shape or picture.shape
        yield seconds, picture


def shown_frames(
    path: MediaPath,
    wanted_seconds: np.ndarray,
    listed: FrameList | None = None,
    damage: Damage | None = None,
) -> Iterator[tuple[float, StoredFrame]]:
    """Decode the frames shown at the selected times float64 (F,), without converting them.

    Yields:
        For each time the time of the decoded frame and the frame; see :func:`read_pictures`.
    """
    found = list_frames(path) if listed is None else listed
    if isinstance(found, str):
        raise MediaError(f"{path.name}: {found}")
    damage = Damage() if damage is None else damage
    if found.is_still:
        frame = av.VideoFrame.from_ndarray(read_still(path), format="rgb24")
        yield from ((float(seconds), StoredFrame(frame)) for seconds in wanted_seconds)
        return
    done = 0
    with open_media(path) as container:
        stream = container.streams[found.track]
        aspect = pixel_aspect_of(stream)
        orientations = _Orientations()
        before: tuple[float, VideoFrame] | None = None
        decoded = _timed_frames(container, stream, found, float(wanted_seconds[0]), damage)
        for after in chain(decoded, [None]):
            while done < len(wanted_seconds) and (
                after is None or wanted_seconds[done] <= after[0]
            ):
                wanted = float(wanted_seconds[done])
                seconds, nearest = _nearest(wanted, before, after, path, damage)
                yield seconds, StoredFrame(nearest, orientations.of(nearest), aspect)
                done += 1
            if done == len(wanted_seconds):
                return
            before = after


class _Orientations:
    """How the frames of a track are turned; read anew only when their rotation changes."""

    def __init__(self) -> None:
        self._known: dict[int, Orientation] = {}

    def of(self, frame: VideoFrame) -> Orientation:
        if frame.rotation not in self._known:
            self._known[frame.rotation] = orientation_of(frame)
        return self._known[frame.rotation]


def _timed_frames(
    container: InputContainer, stream: Any, listed: FrameList, start: float, damage: Damage
) -> Iterator[tuple[float, VideoFrame]]:
    """Decode frames with their listed times, and note the damage from the start on."""
    if listed.is_counted:
        frames = decoded_frames(container, stream, None, damage.broken)
        timed = zip(listed.seconds.tolist(), (frame for _, frame in frames), strict=False)
        return damage.watched(timed, None, listed.losses)
    expected = listed.seconds[listed.seconds >= start]
    frames = decoded_frames(container, stream, start, damage.broken)
    return damage.watched(frames, expected, listed.losses)


def _nearest(
    wanted: float,
    before: tuple[float, VideoFrame] | None,
    after: tuple[float, VideoFrame] | None,
    path: MediaPath,
    damage: Damage,
) -> tuple[float, VideoFrame]:
    candidates = [pair for pair in (before, after) if pair is not None]
    nearest = min(candidates, key=lambda pair: abs(pair[0] - wanted), default=None)
    if nearest is None or abs(nearest[0] - wanted) > _TOLERANCE_SECONDS:
        at, reason = wanted, "the decoder returned no frame"
        if damage.broken:
            at, reason = damage.broken[0].seconds, damage.broken[0].reason
        raise MediaError(f"{path.name}: decoding broke at {at:.2f} s: {reason}")
    return nearest
