"""Correct the times of an AVI's pictures after lost chunks, from its index.

AVI holds no times: FFmpeg counts the chunks that it finds, so that a lost one moves all pictures
after it. The index lists every chunk with its position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer


HEADER_BYTES = 8
"""Bytes of a chunk's header, before which the index points."""


class AviIndex:
    """The chunks of a video track that the index of an AVI lists; of other containers none."""

    def __init__(self, container: InputContainer, stream: Any) -> None:
        """Read the index; nothing is decoded.

        Args:
            container: the open file.
            stream: its video track.
        """
        is_avi = container.format.name == "avi"
        entries = stream.index_entries if is_avi else ()
        self._ticks = {entry.pos + HEADER_BYTES: entry.timestamp for entry in entries}
        self._late = 0

    def late_ticks(self, packet: Any) -> int:
        """Return how many ticks later than FFmpeg counts a packet is shown.

        Packets are given in the order of the file; those that the index does not list are as late
        as the one before.
        """
        ticks = self._ticks.get(packet.pos)
        if ticks is not None and packet.dts is not None:
            self._late = max(0, ticks - packet.dts)
        return self._late
