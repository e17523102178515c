"""Files of a job on a disk, which may be shared by many machines."""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from emo.extract.job.files.job_files import JobFiles, LogFile
from emo.machine.untrusted.files import UnfitFileError, open_regular, read_regular
from emo.store.backend.commit import commit
from emo.store.backend.process_identity import host, this_process


class DiskLog(LogFile):
    """A log file; each line is written at once, so that it is complete after a kill."""

    def __init__(self, path: Path) -> None:
        """Open the file to append to it.

        Raises:
            OSError: the disk refuses.
        """
        self.path = path
        # unbuffered: after a full disk, closing the file must not try to write again
        self.file = path.open("ab", buffering=0)

    def write(self, line: bytes, *, is_kept: bool = True) -> None:
        """Append a line with one call of the system."""
        if self.file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def touch(self) -> None:
        """Set the file's time to now, by which other machines see that the worker is alive."""
        with suppress(OSError):  # the folder is not reachable; the next write will report it
            os.utime(self.path)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class DiskFiles(JobFiles):
    """Files in a folder of a disk."""

    def __init__(self, folder: Path) -> None:
        """Use the files in ``folder``."""
        self.folder = folder

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read a regular file, also through a link."""
        return read_regular(self.folder / name, most_bytes=most_bytes, follow_links=True)

    def write(self, name: str, data: bytes) -> None:
        """Write a file beside its place and rename it, also over a pipe or a link."""
        unfinished = self.folder / f".{name}-{host()}-{this_process()}"
        try:
            unfinished.write_bytes(data)
            unfinished.replace(self.folder / name)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def write_all(self, name: str, lines: Iterable[bytes]) -> None:
        """Write the lines one after the other."""
        with (self.folder / name).open("wb") as file:
            file.writelines(lines)

    def line_at(self, name: str, start: int, stop: int | None, most_bytes: int) -> bytes:
        """Read from ``start`` to the line feed."""
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            return file.readline(most_bytes + 1)

    def lines_of(self, name: str, most_bytes: int) -> Iterator[bytes]:
        """Read line by line."""
        with (self.folder / name).open("rb") as file:
            while line := file.readline(most_bytes + 1):
                yield line

    def names(self, ending: str) -> list[str]:
        """List the folder."""
        return sorted(path.name for path in self.folder.glob(f"*{ending}"))

    def has_list(self, name: str) -> bool:
        """Return whether the file exists."""
        return (self.folder / name).exists()

    def read_list(self, name: str, most_bytes: int) -> list[bytes]:
        """Return the lines of the file."""
        try:
            # str.splitlines splits elsewhere, too
            return self.read(name, most_bytes).split(b"\n")
        except FileNotFoundError:
            return []

    def append(self, name: str, entry: bytes) -> None:
        """Append a line with one call of the system, neither to a pipe nor through a link."""
        # begins with a newline, so that it is a line of its own even after an incomplete one
        data = b"\n" + entry + b"\n"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.folder / name, flags, 0o666)
        try:
            if os.write(handle, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)

    def clear(self, name: str) -> None:
        """Remove the file."""
        (self.folder / name).unlink(missing_ok=True)

    def claim(self, name: str, number: int, owner: bytes) -> bool:
        """Create the file ``name/number``, whole or not at all."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        return commit(self.folder / name, f"{number:04}", lambda file: _write(file, owner))

    def claims(self, name: str) -> dict[int, bytes]:
        """Read the files ``name/number``."""
        found = {}
        for path in (self.folder / name).glob("[0-9]*"):
            with suppress(OSError, UnfitFileError):  # given back meanwhile, or something else
                if path.name.isdecimal():
                    found[int(path.name)] = read_regular(path, most_bytes=1000, follow_links=False)
        return found

    def unclaim(self, name: str, number: int) -> None:
        """Remove the file ``name/number``."""
        with suppress(OSError):  # it is found abandoned once its owner is gone
            (self.folder / name / f"{number:04}").unlink()

    def log(self, name: str) -> DiskLog:
        """Open a file to append to it."""
        return DiskLog(self.folder / name)

    def log_lines(self, name: str, most_bytes: int, most_line: int) -> Iterator[bytes]:
        """Read the file line by line."""
        try:
            handle, size = open_regular(self.folder / name, follow_links=True)
        except (OSError, UnfitFileError):
            return
        with suppress(OSError), os.fdopen(handle, "rb") as file:
            if size <= most_bytes:
                while line := file.readline(most_line):
                    yield line

    def touch(self, name: str) -> None:
        """Set the file's time."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).touch()

    def age_seconds(self, name: str) -> float | None:
        """Compare the file's time with this machine's clock."""
        try:
            return time.time() - (self.folder / name).stat().st_mtime
        except OSError:
            return None

    def alive(self, seconds: float) -> list[str]:
        """Compare the times of all files with this machine's clock."""
        ages = {name: self.age_seconds(name) for name in self.names(".jsonl")}
        return [name for name, age in ages.items() if age is not None and age < seconds]

    def remove(self, name: str) -> None:
        """Remove the file."""
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)


def _write(file: object, data: bytes) -> None:
    file.write(data)  # type: ignore[attr-defined]
