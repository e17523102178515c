"""The contract of the files in a folder of a job, on a disk or in a bucket.

A job has four kinds of files: those written once (``job.json``), lists to which several
processes append lines (journals, claims), logs to which one process appends, and files whose time
says that a process is alive. A disk does all of it with files. A bucket has no appends: a list is
a row of numbered objects there, and a log is an object for each part.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator


class LogFile(ABC):
    """A log that this process appends to."""

    @abstractmethod
    def write(self, line: bytes, *, is_kept: bool = True) -> None:
        """Append a line.

        Args:
            line: the line, with its line feed.
            is_kept: whether this line and those before it must survive a kill from now on; a disk
                keeps every line.

        Raises:
            OSError: the disk is full, or the folder is gone.
            StoreError: the object store refuses.
        """

    @abstractmethod
    def touch(self) -> None:
        """Note that this process is alive; a failure is left to the next write."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left, and note that this process has ended."""


class JobFiles(ABC):
    """The files directly in one folder: that of a job, or its journals, logs or claims."""

    @abstractmethod
    def read(self, name: str, most_bytes: int) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.
            UnfitFileError: it is larger than ``most_bytes``, or no regular file.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a whole file, in place of an earlier one; readers see the old or the new one.

        Raises:
            OSError: the disk refuses.
            StoreError: the object store refuses.
        """

    @abstractmethod
    def write_all(self, name: str, lines: Iterable[bytes]) -> None:
        """Write a file, which may be larger than the memory, from its lines.

        Raises:
            OSError: the disk refuses.
            StoreError: the object store refuses.
        """

    @abstractmethod
    def line_at(self, name: str, start: int, stop: int | None, most_bytes: int) -> bytes:
        """Read a line of a file, with at most ``most_bytes + 1`` bytes of it.

        Args:
            name: the file.
            start: byte at which the line begins.
            stop: byte at which the next line begins; None: it is the last line.
            most_bytes: length from which on a line is damaged.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @abstractmethod
    def lines_of(self, name: str, most_bytes: int) -> Iterator[bytes]:
        """Yield the lines of a file in order; a line above ``most_bytes`` is cut.

        Raises:
            FileNotFoundError: there is no such file.
        """

    @abstractmethod
    def names(self, ending: str) -> list[str]:
        """Return the names of the lists and logs that have an ending, sorted."""

    @abstractmethod
    def has_list(self, name: str) -> bool:
        """Return whether a list has entries."""

    @abstractmethod
    def read_list(self, name: str, most_bytes: int) -> list[bytes]:
        """Return the entries of a list, in the order in which they were appended.

        Raises:
            OSError: it cannot be read.
            UnfitFileError: it is larger than ``most_bytes``, or no regular file.
        """

    @abstractmethod
    def append(self, name: str, entry: bytes) -> None:
        """Append an entry to a list, beside other processes that do so.

        Raises:
            OSError: the disk refuses.
            StoreError: the object store refuses.
        """

    @abstractmethod
    def clear(self, name: str) -> None:
        """Remove the entries of a list.

        Raises:
            OSError: the disk refuses.
        """

    @abstractmethod
    def claim(self, name: str, number: int, owner: bytes) -> bool:
        """Take a number of a row of claims; return whether nobody had taken it.

        Raises:
            StoreError: the disk or the object store refuses.
        """

    @abstractmethod
    def claims(self, name: str) -> dict[int, bytes]:
        """Return the claims of a row: number -> owner."""

    @abstractmethod
    def unclaim(self, name: str, number: int) -> None:
        """Give back a claim."""

    @abstractmethod
    def log(self, name: str) -> LogFile:
        """Open a log of this process.

        Raises:
            OSError: the disk refuses.
        """

    @abstractmethod
    def log_lines(self, name: str, most_bytes: int, most_line: int) -> Iterator[bytes]:
        """Yield the lines of a log; none of one that is damaged or larger than ``most_bytes``."""

    @abstractmethod
    def touch(self, name: str) -> None:
        """Set the time of a file to now; make it if there is none.

        Raises:
            OSError: the disk refuses.
            StoreError: the object store refuses.
        """

    @abstractmethod
    def age_seconds(self, name: str) -> float | None:
        """Return how long ago a file was written or touched; None: there is no such file."""

    @abstractmethod
    def alive(self, seconds: float) -> list[str]:
        """Return the names of the files that were touched in the last ``seconds``."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
