"""A media file that was read to its end, and what its headers say of this end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from emo.extract.decode.container import declared_seconds, origin_seconds
from emo.extract.decode.sources.media_file import MediaPath

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class FileEnd:
    """What the headers tell of the end of a track."""

    seconds: float | None = None
    """Time at which the track should end, from the start of the file; None: not known."""
    is_cut: bool = False
    """Whether bytes at the end of the file are missing."""


@dataclass(frozen=True)
class OpenFile:
    """A media file that was read to its end, and its bytes."""

    path: MediaPath
    """Path of the media file."""
    handle: BinaryIO
    """Handle of the media file, open for reading."""
    container: InputContainer
    """The file as FFmpeg opened it."""
    stream: Any
    """The track in question."""
    reached_seconds: float
    """Time at which the track ended when it was read, from the start of the file."""

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return os.fstat(self.handle.fileno()).st_size

    def at(self, position: int, count: int) -> bytes:
        """Read ``count`` bytes from a position on; fewer at the end of the file."""
        self.handle.seek(position)
        return self.handle.read(count)

    @property
    def track_seconds(self) -> float | None:
        """Time at which the track ends by FFmpeg's account; None: it gives none."""
        stream = self.stream
        if not stream.duration:
            return None
        first = float((stream.start_time or 0) * stream.time_base)
        first -= origin_seconds(self.container) if stream.start_time else 0.0
        return first + float(stream.duration * stream.time_base)

    @property
    def file_seconds(self) -> float | None:
        """Length that the headers declare for the whole file; None: they declare none."""
        return declared_seconds(self.container)
