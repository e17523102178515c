"""Limits of media that the user sets: file size, length, pixels, and time of fetching a file.

They hold for the whole process, like the hosts that are allowed (``--allow-host``): a worker takes
those of its job. The limit of memory, which every clip has, is in :mod:`emo.extract.decode.budget`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from emo.errors import MediaError, OptionError
from emo.store.backend.media_timeout import set_media_timeout

_OPTIONS = {
    "file_bytes": "--max-bytes",
    "clip_seconds": "--max-seconds",
    "clip_pixels": "--max-pixels",
    "fetch_seconds": "--timeout",
}


@dataclass(frozen=True)
class MediaLimits:
    """Limits of one clip; a clip beyond one of them fails with a reason that names it."""

    file_bytes: float | None = None
    """Bytes of the largest media file (``--max-bytes``); None: of files by https a quarter of the
    cache folder's limit, else no limit."""
    clip_seconds: float | None = None
    """Length of the longest clip (``--max-seconds``); None: no limit."""
    clip_pixels: float | None = None
    """Width times height times frames of a clip's pictures (``--max-pixels``); None: no limit."""
    fetch_seconds: float | None = None
    """Seconds for fetching a file by https, or for a request to a bucket (``--timeout``); None: 300
    s."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            OptionError: one is not above 0.
        """
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise OptionError(f"{_OPTIONS[name]}: expected a number above 0, got {value:g}")

    def check_bytes(self, name: str, size_bytes: int) -> None:
        """Refuse a file that is too large.

        Raises:
            MediaError: it has more bytes than ``--max-bytes`` allows.
        """
        if self.file_bytes is not None and size_bytes > self.file_bytes:
            raise MediaError(
                f"{name}: the file has {size_bytes:,} bytes; at most {self.file_bytes:,.0f} are "
                "read (--max-bytes)"
            )

    def check_seconds(self, name: str, seconds: float) -> None:
        """Refuse a clip that is too long.

        Raises:
            MediaError: it is longer than ``--max-seconds`` allows.
        """
        if self.clip_seconds is not None and seconds > self.clip_seconds:
            raise MediaError(
                f"{name}: the clip is longer than {self.clip_seconds:g} s (--max-seconds); cut it "
                "into stretches (start_seconds, end_seconds), or allow more"
            )

    def check_pixels(self, name: str, height: int, width: int, frames: int) -> None:
        """Refuse a clip with too many pixels.

        Raises:
            MediaError: it has more than ``--max-pixels`` allows.
        """
        if self.clip_pixels is not None and height * width * frames > self.clip_pixels:
            raise MediaError(
                f"{name}: the clip has {frames:,} pictures of {width} x {height} pixels; at most "
                f"{self.clip_pixels:,.0f} pixels are read in all (--max-pixels)"
            )

    def to_json(self) -> dict[str, float]:
        """Return the limits that are set, for a job's document."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, limits: Mapping[str, float]) -> Self:
        """Read limits from a job's document, of which unknown ones are ignored."""
        return cls(**{name: limits[name] for name in _OPTIONS if name in limits})


NO_LIMITS = MediaLimits()
"""Limits of a user who sets none."""
_set = [NO_LIMITS]


def set_limits(limits: MediaLimits = NO_LIMITS) -> None:
    """Let limits hold from now on in this process, instead of those that did."""
    _set[0] = limits
    set_media_timeout(limits.fetch_seconds)


def media_limits() -> MediaLimits:
    """Return the limits that hold in this process."""
    return _set[0]
