"""Walk over the tags of an FLV file and find where they do not follow one another.

FFmpeg searches on for the next tag and says so in its log alone. Source: Adobe's FLV specification
10.1, annex E.
"""

import mmap
from functools import lru_cache

from emo.extract.decode.sources.media_file import MediaPath, mapped_media

_KINDS = frozenset({8, 9, 18})
"""Numbers of the tags of sound, pictures and script data."""
_MOST_SKIPPED = 2**20
"""Number of bytes that are searched for the next tag."""


def damaged_tags(path: MediaPath) -> list[tuple[float, float]]:
    """Return the times of the tags before and after each damage, in seconds of the file's clock."""
    status = path.stat()
    return _damaged(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _damaged(path: MediaPath, size_bytes: int, changed: int) -> list[tuple[float, float]]:
    """Walk over a file; size and time of change tell one file from another of the same name."""
    found: list[tuple[float, float]] = []
    with mapped_media(path) as content:
        at, last = int.from_bytes(content[5:9]) + 4, 0.0
        while at < len(content):
            after = _after_tag(content, at)
            if after is None:
                skipped = range(at + 1, min(at + _MOST_SKIPPED, len(content)))
                at = next((each for each in skipped if _after_tag(content, each)), -1)
                if at < 0:
                    return found
                found.append((last, _seconds(content, at)))
            else:
                last, at = _seconds(content, at), after
    return found


def _after_tag(content: mmap.mmap | bytes, at: int) -> int | None:
    """Return where the tag at a position ends; None: no whole tag begins there."""
    if content[at] & 31 not in _KINDS or at + 15 > len(content):
        return None
    size = 11 + int.from_bytes(content[at + 1 : at + 4])
    after = at + size
    is_closed = int.from_bytes(content[after : after + 4]) == size
    return after + 4 if is_closed and after + 4 <= len(content) else None


def _seconds(content: mmap.mmap | bytes, at: int) -> float:
    """Return the time of the tag at a position."""
    return int.from_bytes(content[at + 7 : at + 8] + content[at + 4 : at + 7]) / 1e3
