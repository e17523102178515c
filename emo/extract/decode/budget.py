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
        self._name, self._most = name, most_bytes
        self._held = 0
        self._arrays: dict[int, int] = {}

    def expect(self, count: int) -> None:
        """Refuse an array before it is allocated.

        Args:
            count: its bytes.

        Raises:
            MediaError: with what is held already it would be more than the limit.
        """
        if self._held + count > self._most:
            raise MediaError(
                f"{self._name}: the decoded pictures and sound of this clip take more than "
                f"{self._most / (1 << 30):.3g} GiB at once; cut it into stretches (start_seconds, "
                "end_seconds), take fewer frames, or allow more with --clip-memory"
            )

    def hold(self, array: np.ndarray) -> None:
        """Count an array that is kept; one that is counted already is not counted again.

        Raises:
            MediaError: see :meth:`expect`.
        """
        if id(array) not in self._arrays:
            self.expect(array.nbytes)
            self._arrays[id(array)] = array.nbytes
            self._held += array.nbytes

    def release(self, array: np.ndarray) -> None:
        """Stop counting an array that is no longer kept."""
        self._held -= self._arrays.pop(id(array), 0)
