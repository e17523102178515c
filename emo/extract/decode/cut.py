"""Tells a file that was cut from one that merely ends: its index lists packets beyond its end."""

from pathlib import Path
from typing import Any

from av.container import InputContainer

from emo.errors import MediaError
from emo.extract.decode.container import origin_seconds

_MOST_SECONDS, _MOST_SHARE = 1.0, 0.1
"""A stretch may lack so much of its end, whichever is less."""


def expect_whole(
    path: Path,
    container: InputContainer,
    stream: Any,
    reached_seconds: float,
    *,
    start_seconds: float | None,
    end_seconds: float | None,
) -> None:
    """An mp4 whose index is at its front opens and plays until the cut; say so instead.

    What containers declare is often wrong, so that a file is called cut only when its index has
    packets of the track which would lie behind the last byte.

    Args:
        path: for the message.
        container: read to its end.
        stream: the track.
        reached_seconds: time of the last packet that was there.
        start_seconds: first wanted moment; None: the first of the file.
        end_seconds: end of what is wanted; None: the end of the file.

    Raises:
        MediaError: the file is cut before the end of the stretch.
    """
    if "mov" not in container.format.name or not stream.duration or not _is_cut(container, stream):
        return
    first = float((stream.start_time or 0) * stream.time_base) - origin_seconds(container)
    declared = first + float(stream.duration * stream.time_base)
    start = first if start_seconds is None else start_seconds
    end = declared if end_seconds is None else min(end_seconds, declared)
    if end - reached_seconds > min(_MOST_SECONDS, _MOST_SHARE * max(0.0, end - start)):
        raise MediaError(
            f"{path.name}: the file is cut: decoding broke at {reached_seconds:.2f} s of "
            f"{declared:.2f} s"
        )


def _is_cut(container: InputContainer, stream: Any) -> bool:
    if not len(stream.index_entries):
        return False
    last = stream.index_entries[-1]
    return bool(last.pos + last.size > container.size)
