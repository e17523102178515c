"""Measure how long the sound of a file is by its packets, without decoding them.

Lengths that headers declare are often wrong. The packets are read to the end of the stretch, which
takes a small part of the time of decoding, so that long sound is refused before it fills the
memory.
"""

from itertools import pairwise
from typing import Any

from emo.extract.decode.container import open_media, origin_seconds, packets_from
from emo.extract.decode.sources.media_file import MediaPath


def packet_seconds(
    path: MediaPath, track: int, start_seconds: float, end_seconds: float | None
) -> float:
    """Return the seconds of sound in a stretch's packets.

    Args:
        path: the file.
        track: index of the track in the container.
        start_seconds: start of the stretch, from the start of the file.
        end_seconds: end of the stretch; None: the end of the file.

    Raises:
        MediaError: the file cannot be read.
    """
    total = 0.0
    with open_media(path) as container:
        stream: Any = container.streams[track]
        origin, base = origin_seconds(container), float(stream.time_base)
        for packet, following in pairwise(packets_from(container, stream, start_seconds)):
            seconds = float(packet.duration or 0) * base
            if packet.pts is not None:
                at = packet.pts * base - origin
                if not seconds and following.pts is not None:
                    seconds = max(0.0, (following.pts - packet.pts) * base)
                if end_seconds is not None and at >= end_seconds:
                    break
                if at + seconds <= start_seconds:
                    continue
            total += seconds
    return total
