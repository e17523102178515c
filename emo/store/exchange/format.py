"""The Format contract: tokens of many clips in a file or folder of another tool.

A new format is one file in ``emo/store/interop/`` with one public subclass. Import and export make
these calls, in this order and nothing else::

    options = plugins.parse_options(MyFormat.ReadOptions, {"ids": "names"}, "mine")
    with MyFormat().read(path, options) as contents:  # the file stays open inside the block
        tokens = contents.streams["audio"].read(0, 64)  # of a few clips at a time

    options = plugins.parse_options(MyFormat.WriteOptions, {}, "mine")
    MyFormat().write(contents, path, options)  # path does not exist yet

A format must implement at least ``extension`` and ``read``, and ``write`` unless ``can_write`` is
False. This one is complete:

>>> import numpy as np
>>> from contextlib import contextmanager
>>> from emo.store import Ragged, StreamSpec
>>> from emo.store.exchange.contents import StreamTokens
>>> class Matrix(Format):
...     extension = ".npy"
...
...     @contextmanager
...     def read(self, path, options):
...         values = np.load(path)  # float (N, D): one token for each clip, named by its row
...         ids, spec = [f"row{k}" for k in range(len(values))], StreamSpec(values.shape[1])
...         read = lambda first, last: Ragged.of([row[None] for row in values[first:last]])
...         yield Contents(ids, {"vector": StreamTokens(spec, np.ones(len(ids), int), read)})
...
...     def write(self, contents, path, options):
...         (rows,) = contents.streams.values()
...         np.save(path, rows.read(0, len(contents.ids)).values)

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     np.save(f"{folder}/a.npy", np.eye(2, dtype=np.float16))
...     with Matrix().read(Path(folder, "a.npy"), None) as contents:
...         Matrix().write(contents, Path(folder, "b.npy"), None)
...     print(contents.ids, np.load(f"{folder}/b.npy").tolist())
['row0', 'row1'] [[1.0, 0.0], [0.0, 1.0]]
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from emo.errors import StoreError
from emo.machine.untrusted.budget import Budget
from emo.plugins import NoOptions
from emo.store.exchange.contents import Contents

MOST_BYTES = 2**34
"""Default for the bytes that the arrays of a file may take: 16 GiB."""


class Format(ABC):
    """Reader and writer of one file format for tokens of many clips."""

    extension: ClassVar[str]
    """Ending of the files, such as ``.h5``; empty: the format is a folder."""
    is_pickle: ClassVar[bool] = False
    """True when reading needs unpickling, which users must allow with ``--allow-pickle``."""
    may_be_pickle: ClassVar[bool] = False
    """True when some files need unpickling; ``read`` raises :meth:`pickle_error` for them unless
    ``allow_pickle`` is set."""
    can_write: ClassVar[bool] = True
    """False when files of the format are imported only."""
    keeps_all: ClassVar[bool] = True
    """False when files hold fewer dtypes, streams or facts than a store; ``write`` raises
    StoreError for tokens that they cannot hold."""
    allow_pickle: bool = False
    """True when the user gave ``--allow-pickle``; an import sets it."""
    wants_labels: bool = False
    """True when somebody asked for the labels in a file; others need not be read if they take room.
    """
    most_bytes: int = MOST_BYTES
    """Most bytes that the arrays of a file may take once they are decoded; an import sets it."""
    ReadOptions: ClassVar[type] = NoOptions
    """Frozen dataclass of the options of ``emo store import -o``."""
    WriteOptions: ClassVar[type] = NoOptions
    """Frozen dataclass of the options of ``emo store export -o``."""

    def budget(self, path: Path) -> Budget:
        """Return a new budget for reading ``path``: ``read`` takes bytes of it before it allocates.

        Args:
            path: the file, for messages.
        """
        return Budget(self.most_bytes, str(path), "--most-bytes", StoreError)

    def pickle_error(self, path: Path) -> StoreError:
        """Return the error to raise for a pickle when the user did not allow it."""
        return StoreError(
            f"{path} is a pickle, and a pickle can run code. --allow-pickle reads it with "
            "a restricted reader (numbers, text, lists, dicts, numpy arrays; nothing else)"
        )

    @abstractmethod
    def read(self, path: Path, options: Any) -> AbstractContextManager[Contents]:
        """Open a file and yield its clips; the file stays open inside the ``with`` block.

        Args:
            path: the file or folder.
            options: an instance of ``ReadOptions``.

        Raises:
            StoreError: the file is not of this format, or padding and tokens cannot be told apart.
        """

    def write(self, contents: Contents, path: Path, options: Any) -> None:
        """Write clips to ``path``, which does not exist yet.

        Args:
            contents: the clips; tokens are read a few clips at a time.
            path: the file or folder to make.
            options: an instance of ``WriteOptions``.

        Raises:
            StoreError: the format cannot hold these clips.
        """
        raise StoreError(f"{type(self).__name__} files are imported only; choose another format")
