"""Decode a video track frame after frame, with the times that the file gives them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emo.extract.decode.budget import MOST_PIXELS
from emo.extract.decode.container import origin_seconds, packets_from, reason_of_ffmpeg
from emo.extract.decode.pictures.avi_index import AviIndex
from emo.extract.decode.pictures.clock import MOST_SECONDS
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.frame import VideoFrame
else:
    av = late("av")


@dataclass(frozen=True)
class BrokenPacket:
    """A packet that could not be decoded."""

    seconds: float
    """Time from the start of the file; of a frame without one, that of the frame before it."""
    reason: str
    """FFmpeg's message."""


def decoded_frames(
    container: InputContainer,
    stream: Any,
    start_seconds: float | None,
    broken: list[BrokenPacket],
) -> Iterator[tuple[float, VideoFrame]]:
    """Decode a track, from a keyframe before a time or from the file's first packet.

    Packets that cannot be decoded are left out.

    Args:
        container: the opened file.
        stream: its video track.
        start_seconds: time from which frames are wanted; None: all frames.
        broken: packets that cannot be decoded are appended to it.

    Yields:
        The time of each frame in seconds from the start of the file, NaN if it has none, and the
        frame, in the decoder's order.
    """
    stream.thread_count = 1  # several clips run in parallel instead
    origin, seconds, codec = origin_seconds(container), math.nan, stream.codec_context.name
    index = AviIndex(container, stream)
    for packet in packets_from(container, stream, start_seconds):
        if packet.size == 0 and packet.pts is not None:
            continue  # Theora's "show the last picture again"; to the decoder it is the end
        late = index.late_ticks(packet)
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if codec == "theora" and bytes(packet)[:1] >= b"\x80":
                continue  # a head of the next recording in a joined file is no picture
            at = seconds
            if packet.pts is not None:
                at = float((packet.pts + late) * packet.time_base) - origin
            last = 0.0 if math.isnan(seconds) else seconds
            is_near = abs(at - last) < MOST_SECONDS  # False for NaN and for bytes that are no time
            broken.append(BrokenPacket(at if is_near else last, _reason(error)))
            continue
        for frame in frames:
            seconds = math.nan
            if frame.pts is not None:
                seconds = float((frame.pts + late) * (frame.time_base or stream.time_base)) - origin
            yield seconds, frame


def _reason(error: av.error.FFmpegError) -> str:
    if isinstance(error, av.error.ArgumentError):  # what decoders say of pictures that they refuse
        return f"the decoder refuses the picture (damaged, or of more than {MOST_PIXELS:,} pixels)"
    return reason_of_ffmpeg(error)


def step_seconds(stream: Any) -> float:
    """Return the usual distance of two frames of a track; 1/25 s when the file does not tell."""
    return float(1 / (stream.average_rate or 25))
