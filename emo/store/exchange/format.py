"""The contract of an interchange format: one file in ``emo/store/interop`` reads and writes it."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from emo.plugins import NoOptions
from emo.store.exchange.contents import Contents

FORMATS = "emo.store.interop"


class Format(ABC):
    """Tokens of many clips in somebody else's file or folder."""

    extension: ClassVar[str]
    """``.h5``; empty: a folder."""
    is_pickle: ClassVar[bool] = False
    """Reading it means to unpickle; only behind ``--allow-pickle``."""
    has_labels: ClassVar[bool] = False
    """Its files tell splits and labels, in :attr:`emo.store.exchange.contents.Contents.cells`."""
    ReadOptions: ClassVar[type] = NoOptions
    """Frozen dataclass of what ``emo store import -o`` takes."""
    WriteOptions: ClassVar[type] = NoOptions
    """The same of ``emo store export -o``."""

    @abstractmethod
    def read(self, path: Path, options: Any) -> AbstractContextManager[Contents]:
        """The clips of a file, which stays open inside the ``with`` block.

        Raises:
            StoreError: it is not of this format, or its padding cannot be told from its tokens.
        """

    @abstractmethod
    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write the clips to ``path``, which does not exist yet.

        Raises:
            StoreError: the format cannot hold them.
        """
