"""Choose the video track of a file: the film, not the cover and not a still picture before it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from emo.extract.decode.container import open_media, packets_of
from emo.extract.decode.sources.media_file import MediaPath
from emo.machine.libraries import late

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
else:
    av = late("av")


def film_track(path: MediaPath, container: InputContainer) -> Any | None:
    """Return the video track to decode; None: the file has none.

    Cover art does not count. Of several tracks it is the one marked as default, else the first,
    but a track of a single picture only if every other has a single one, too.

    Args:
        path: the file, which is opened once more if its headers do not tell the pictures' number.
        container: the same file, opened.
    """
    tracks = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None
        and not stream.disposition & av.stream.Disposition.attached_pic
    ]
    tracks.sort(key=lambda track: not track.disposition & av.stream.Disposition.default)  # stable
    if len(tracks) < 2 or tracks[0].frames > 1:
        return tracks[0] if tracks else None
    films = _of_several_pictures(path, [track.index for track in tracks])
    return next((track for track in tracks if track.index in films), tracks[0])


def _of_several_pictures(path: MediaPath, tracks: list[int]) -> set[int]:
    """Return which tracks hold two pictures or more; reading stops once the first one does."""
    counts: Counter[int] = Counter()
    with open_media(path) as container:
        for packet in packets_of(container, [container.streams[index] for index in tracks]):
            counts[packet.stream_index] += bool(packet.size)
            if counts[tracks[0]] > 1:
                break
    return {index for index, pictures in counts.items() if pictures > 1}
