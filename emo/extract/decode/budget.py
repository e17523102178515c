"""Limit the memory that the decoded pictures and sound of one clip may take.

A file of 200 bytes may describe a picture of a gigabyte, and one of a megabyte hours of silence in
eight channels. What a clip holds is counted before it is allocated; a clip that would hold more
fails with a reason, and the job goes on.
"""

import numpy as np

from emo.errors import MediaError

MOST_CLIP_BYTES = 2 << 30
"""Bytes of decoded pictures and sound that one clip may hold at once, unless the user says more."""
MOST_PIXELS = MOST_CLIP_BYTES // 12
"""Pixels of the largest picture that is decoded: 179 million. A decoder holds two or three pictures
of four bytes a pixel."""
LEAST_RATE = 16_000
"""Sound of a lower sample rate is counted as if it had this many Hz, to which it is resampled."""


def check_pixels(name: str, width: int, height: int) -> None:
    """Refuse a picture that is too large, by what its header says.

    Raises:
        MediaError: it has more than :data:`MOST_PIXELS` pixels.
    """
    if width * height > MOST_PIXELS:
        raise MediaError(
            f"{name}: the picture has {width} x {height} pixels; at most {MOST_PIXELS:,} are read: "
            "scale it down"
        )


class ClipBudget:
    """Counts the bytes that the decoded media of one clip hold."""

    def __init__(self, name: str, most_bytes: int = MOST_CLIP_BYTES) -> None:
        """Start with nothing held.

        Args:
            name: name of the file, for messages.
            most_bytes: how many bytes may be held at once.
        """
        self.name, self._most = name, most_bytes
        self._held = 0
        self._arrays: dict[int, int] = {}

    def expect(self, count: int, *, sample_rate: int | None = None) -> None:
        """Refuse an array before it is allocated.

        Args:
            count: its bytes.
            sample_rate: of sound, its rate in Hz, see :func:`resampled_bytes`; None: no sound.

        Raises:
            MediaError: with what is held already it would be more than the limit.
        """
        if self._held + resampled_bytes(count, sample_rate) > self._most:
            slow = sample_rate is not None and sample_rate < LEAST_RATE
            rate = f" (its sound has {sample_rate} Hz, and counts as {LEAST_RATE} Hz)"
            raise MediaError(
                f"{self.name}: the decoded pictures and sound of this clip take more than "
                f"{self._most / (1 << 30):.3g} GiB at once{rate if slow else ''}; cut it into "
                "stretches (start_seconds, end_seconds), take fewer frames, or allow more with "
                "--clip-memory"
            )

    def hold(self, array: np.ndarray, *, sample_rate: int | None = None) -> None:
        """Count an array that is kept; one that is counted already is not counted again.

        Args:
            array: the array.
            sample_rate: of sound, its rate in Hz, see :func:`resampled_bytes`; None: no sound.

        Raises:
            MediaError: see :meth:`expect`.
        """
        if id(array) not in self._arrays:
            self.expect(array.nbytes, sample_rate=sample_rate)
            count = resampled_bytes(array.nbytes, sample_rate)
            self._arrays[id(array)] = count
            self._held += count

    def release(self, array: np.ndarray) -> None:
        """Stop counting an array that is no longer kept."""
        self._held -= self._arrays.pop(id(array), 0)


def resampled_bytes(count: int, sample_rate: int | None) -> int:
    """Return the bytes that samples take once a backbone has resampled them.

    Backbones read 16,000 Hz and more, so that a day of sound at 1 Hz would grow 16,000 times.

    Args:
        count: bytes of the samples at their own rate.
        sample_rate: that rate in Hz; None: it is no sound.

    >>> resampled_bytes(100, 8000), resampled_bytes(100, 44_100), resampled_bytes(100, None)
    (200, 100, 100)
    """
    if sample_rate is None or sample_rate >= LEAST_RATE:
        return count
    return count * LEAST_RATE // max(1, sample_rate)
