"""Decode the selected frames of a clip, by seeks or in one sequential pass, and keep no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from emo.errors import MediaError
from emo.extract.decode.container import PREROLL_SECONDS, discard_others, open_media, origin_seconds
from emo.extract.decode.kept_file import KeptFile
from emo.extract.decode.pictures.damage import Damage
from emo.extract.decode.pictures.decoder import decoded_frames
from emo.extract.decode.pictures.display import (
    Orientation,
    StoredFrame,
    orientation_of,
    pixel_aspect_of,
)
from emo.extract.decode.pictures.frame_list import FrameList, list_frames
from emo.extract.decode.pictures.nearest import nearest_frames
from emo.extract.decode.pictures.picture import Picture
from emo.extract.decode.pictures.still import read_still
from emo.extract.decode.seeking.seek import Seeker
from emo.extract.decode.seeking.unsure import Unsure
from emo.extract.decode.sources.media_file import MediaPath
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
else:
    av = late("av")


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
    *,
    decodes_all: bool = False,
    kept: KeptFile | None = None,
) -> Iterator[tuple[float, Picture]]:
    """Decode the frames shown at the selected times.

    A frame that the decoder leaves out is replaced by the nearest decoded one. Pictures are turned
    and mirrored as the file's display matrix says, and their pixels are made square. If the picture
    size changes within the track, later pictures are scaled to the first size.

    Args:
        path: a file with a video track.
        wanted_seconds: float64 (F,), rising times from :func:`frame_seconds`.
        listed: the list that the times are from; None: the file is listed anew.
        damage: damaged pictures are noted in it, as far as pictures are decoded.
        decodes_all: whether the pictures between the selected ones are decoded, too.
        kept: the file as :func:`list_frames` left it; None: it is opened anew.

    Yields:
        For each of the F times the time of the decoded frame and its picture.

    Raises:
        MediaError: decoding broke before the last wanted frame; the message says at which second.
    """
    shape: tuple[int, int] | None = None
    shown = shown_frames(path, wanted_seconds, listed, damage, decodes_all=decodes_all, kept=kept)
    for seconds, stored in shown:
        picture = Picture(stored, shape)
        shape = shape or picture.shape
        yield seconds, picture


def shown_frames(
    path: MediaPath,
    wanted_seconds: np.ndarray,
    listed: FrameList | None = None,
    damage: Damage | None = None,
    *,
    decodes_all: bool = False,
    kept: KeptFile | None = None,
) -> Iterator[tuple[float, StoredFrame]]:
    """Decode the frames shown at the selected times float64 (F,), without converting them.

    Frames are sought where that provably gives the pixels of a whole decode, see
    :mod:`emo.extract.decode.seeking.seek`. Where it does not, the file is decoded from its first
    packet; where that breaks before the first wanted frame, from a keyframe before that.

    Yields:
        For each time the time of the decoded frame and the frame; see :func:`read_pictures`.
    """
    found = list_frames(path) if listed is None else listed
    if isinstance(found, str):
        raise MediaError(f"{path.name}: {found}")
    if found.is_still:
        frame = av.VideoFrame.from_ndarray(read_still(path), format="rgb24")
        yield from ((float(seconds), StoredFrame(frame)) for seconds in wanted_seconds)
        return
    damage = Damage() if damage is None else damage
    done, ways = 0, _ways(found, wanted_seconds, decodes_all=decodes_all)
    for index, way in enumerate(ways):
        mark = damage.mark()
        try:
            own = kept if way is _sought else None
            stored = _stored(path, wanted_seconds, found, damage, way, own)
            for shown in islice(stored, done, None):
                yield shown
                done += 1
            return
        except (Unsure, MediaError):
            if index == len(ways) - 1:
                raise
            damage.forget_since(mark)


_Way = Callable[
    ["InputContainer", Any, FrameList, np.ndarray, Damage, MediaPath],
    Iterator[tuple[float, "VideoFrame"]],
]
"""Function that yields, for each wanted time, the time of a decoded frame and the frame."""


def _ways(listed: FrameList, wanted: np.ndarray, *, decodes_all: bool) -> list[_Way]:
    """Return how the frames of a file are tried to be had, in this order."""
    if listed.table is None:
        return [_from_keyframe]
    is_near = float(wanted[0]) <= PREROLL_SECONDS
    ways: list[_Way] = [_from_first] if is_near else [_from_first, _from_keyframe]
    spares_nothing = np.array_equal(wanted, listed.seconds[: len(wanted)]) and is_near
    # what was lost among packets shows to no decoder, but spoils the pictures up to a keyframe
    if decodes_all or spares_nothing or len(listed.losses.lost):
        return ways
    return [_sought, *ways]


def _stored(
    path: MediaPath, wanted_seconds: np.ndarray, listed: FrameList, damage: Damage, way: _Way,
    kept: KeptFile | None,
) -> Iterator[tuple[float, StoredFrame]]:  # fmt: skip
    """Yield the frames that one way of decoding gives, and how they are shown."""
    if listed.table is not None and not listed.table.can_go_back:
        kept = None
    with open_media(path) if kept is None else kept.opened(path) as container:
        stream = container.streams[listed.track]
        aspect, orientations = pixel_aspect_of(stream), _Orientations()
        for seconds, frame in way(container, stream, listed, wanted_seconds, damage, path):
            yield seconds, StoredFrame(frame, orientations.of(frame), aspect)


def _sought(
    container: InputContainer, stream: Any, listed: FrameList, wanted: np.ndarray, damage: Damage,
    path: MediaPath,
) -> Iterator[tuple[float, VideoFrame]]:  # fmt: skip
    """Find the frames by seeks.

    Raises:
        Unsure: the next frame cannot be shown to be that of a whole decode.
    """
    assert listed.table is not None
    discard_others(container, stream)
    origin, base = origin_seconds(container), stream.time_base
    seeker = Seeker(container, stream, listed.table)
    for frame in seeker.pictures(listed.indices(wanted, origin, base)):
        assert frame.pts is not None
        yield float(frame.pts * base) - origin, frame


def _from_first(
    container: InputContainer, stream: Any, listed: FrameList, wanted: np.ndarray, damage: Damage,
    path: MediaPath,
) -> Iterator[tuple[float, VideoFrame]]:  # fmt: skip
    """Decode from the file's first packet."""
    frames = decoded_frames(container, stream, None, damage.broken)
    expected = listed.seconds[listed.seconds >= float(wanted[0])]
    return nearest_frames(damage.watched(frames, expected, listed.losses), wanted, damage, path)


def _from_keyframe(
    container: InputContainer, stream: Any, listed: FrameList, wanted: np.ndarray, damage: Damage,
    path: MediaPath,
) -> Iterator[tuple[float, VideoFrame]]:  # fmt: skip
    """Decode from a keyframe a second before the first wanted frame, by the container's index."""
    if listed.is_counted:
        frames = decoded_frames(container, stream, None, damage.broken)
        timed = zip(listed.seconds.tolist(), (frame for _, frame in frames), strict=False)
        watched = damage.watched(timed, None, listed.losses)
    else:
        expected = listed.seconds[listed.seconds >= float(wanted[0])]
        frames = decoded_frames(container, stream, float(wanted[0]), damage.broken)
        watched = damage.watched(frames, expected, listed.losses)
    return nearest_frames(watched, wanted, damage, path)


class _Orientations:
    """How the frames of a track are turned; read anew only when their rotation changes."""

    def __init__(self) -> None:
        self._known: dict[int, Orientation] = {}

    def of(self, frame: VideoFrame) -> Orientation:
        if frame.rotation not in self._known:
            self._known[frame.rotation] = orientation_of(frame)
        return self._known[frame.rotation]
