"""Keep a media file open from listing its frames until they are decoded: opening costs 3 ms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from emo.extract.decode.container import open_media, reading
from emo.extract.decode.sources.media_file import MediaPath

if TYPE_CHECKING:
    from av.container import InputContainer


class KeptFile(AbstractContextManager["KeptFile"]):
    """One file that is opened at its first use and closed at the end of the ``with`` block."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._stack = ExitStack()
        self._container: InputContainer | None = None

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    @contextmanager
    def opened(self, path: MediaPath) -> Iterator[InputContainer]:
        """Give the open file, wherever it was read to; it is the same for every call.

        Raises:
            MediaError: see :func:`~emo.extract.decode.container.open_media`.
        """
        if self._container is None:
            self._container = self._stack.enter_context(open_media(path))
        with reading(path):
            yield self._container
