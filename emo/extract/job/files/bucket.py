"""Files of a job as objects in a bucket: workers need no shared disk.

Objects are whole and cannot be appended to. A list is a row of objects ``NAME/000000.jsonl``,
``NAME/000001.jsonl`` …, each created on the condition that its name is free, so that all see
one order. A log is a row of such objects, too, one for each part and half minute. An object
``NAME.alive`` is put again and again by a living process; its time is that of the server.
"""

import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from emo.errors import StoreError
from emo.extract.job.files.job_files import JobFiles, LogFile
from emo.machine.untrusted.files import UnfitFileError
from emo.store.backend.object_path import ObjectPath
from emo.store.backend.parallel import at_once

ALIVE = ".alive"
"""End of the name of the object whose time says that a process is alive."""
_RANGE_BYTES = 2**24
"""Bytes of a file that are fetched with one request, 16 MiB."""
_MOST_WAITING_BYTES = 2**20
"""Bytes of a log that are kept in memory before they become an object, 1 MiB."""
_ROW = re.compile(r"\d{6}\.jsonl")
_offsets: dict[str, float] = {}
"""Bucket -> seconds that its server's clock is ahead of ours, as seen by this process."""


class BucketLog(LogFile):
    """A log whose lines become an object with each part and each sign of life."""

    def __init__(self, files: "BucketFiles", name: str) -> None:
        """Begin the log; no other process has one of this name."""
        self._files, self._name, self._count = files, name, 0
        self._lines: list[bytes] = []
        self._lock = threading.Lock()
        self._is_closed = False
        files.touch(name)

    def write(self, line: bytes, *, is_kept: bool = True) -> None:
        """Keep a line in memory; put the lines so far if they must survive a kill."""
        with self._lock:
            self._lines.append(line)
            if is_kept or sum(map(len, self._lines)) > _MOST_WAITING_BYTES:
                self._put()

    def touch(self) -> None:
        """Put the lines so far, and the object that says that the process is alive."""
        with suppress(StoreError), self._lock:  # the next write will report it
            if not self._is_closed:
                self._put()
                self._files.touch(self._name)

    def close(self) -> None:
        """Put the rest, and remove the sign of life."""
        with self._lock:
            self._is_closed = True
            self._put()
            self._files.remove(self._name)

    def _put(self) -> None:
        if self._lines:
            self._files.claim(self._name, self._count, b"".join(self._lines))
            self._count += 1
            self._lines.clear()


class BucketFiles(JobFiles):
    """Objects below a name in a bucket."""

    def __init__(self, folder: ObjectPath) -> None:
        """Use the objects below ``folder``."""
        self.folder = folder

    def read(self, name: str, most_bytes: int) -> bytes:
        """Ask for the size of an object, then for its bytes."""
        path = self.folder / name
        facts = path.bucket.facts(path.key, is_known=False)
        if facts.st_size > most_bytes:
            raise UnfitFileError(f"it has {facts.st_size:,} bytes; at most {most_bytes:,} are read")
        return path.bucket.read_range(path.key, 0, facts.st_size, facts) if facts.st_size else b""

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        (self.folder / name).write_bytes(data)

    def write_all(self, name: str, lines: Iterable[bytes]) -> None:
        """Collect the lines in a temporary file, and upload it."""
        with tempfile.SpooledTemporaryFile(max_size=_RANGE_BYTES) as file:
            file.writelines(lines)
            file.seek(0)
            path = self.folder / name
            path.bucket.upload(path.key, file)  # type: ignore[arg-type]

    def line_at(self, name: str, start: int, stop: int | None, most_bytes: int) -> bytes:
        """Ask for the range of the line."""
        path = self.folder / name
        for _ in range(2):  # an erasure may have replaced the object since it was looked at
            with suppress(FileNotFoundError):
                facts = path.bucket.facts(path.key)
                end = min(facts.st_size if stop is None else stop, start + most_bytes + 1)
                if end <= start:
                    return b""
                return path.bucket.read_range(path.key, start, end, facts)
        return self.read(name, most_bytes)[start:stop]

    def lines_of(self, name: str, most_bytes: int) -> Iterator[bytes]:
        """Ask for ranges of 16 MiB, and cut them into lines."""
        path = self.folder / name
        facts = path.bucket.facts(path.key, is_known=False)
        rest = b""
        for start in range(0, facts.st_size, _RANGE_BYTES):
            stop = min(start + _RANGE_BYTES, facts.st_size)
            *lines, rest = (rest + path.bucket.read_range(path.key, start, stop, facts)).split(
                b"\n"
            )
            yield from (line + b"\n" for line in lines)
            if len(rest) > most_bytes:
                break
        if rest:
            yield rest

    def names(self, ending: str) -> list[str]:
        """List the rows of objects."""
        folders, _ = self.folder.bucket.listed(self.folder.key)
        return [name for name in folders if name.endswith(ending)]

    def has_list(self, name: str) -> bool:
        """List the row."""
        return bool(self._row(name))

    def read_list(self, name: str, most_bytes: int) -> list[bytes]:
        """Read the objects of a row, several at once."""
        row = self._row(name)
        size = sum(path.stat().st_size for path in row)
        if size > most_bytes:
            raise UnfitFileError(f"it has {size:,} bytes; at most {most_bytes:,} are read")
        return [entry for entry in at_once(True, _read, row) if entry is not None]

    def append(self, name: str, entry: bytes) -> None:
        """Create the next object of a row; another process may be first, then the one after it."""
        row = self._row(name)
        number = _number(row[-1]) + 1 if row else 0
        while not self.claim(name, number, entry):
            path = self.folder / name / _object_name(number)
            if _read(path) == entry:  # the answer to our first request was lost
                return
            number += 1

    def clear(self, name: str) -> None:
        """Delete the objects of a row."""
        at_once(True, partial(ObjectPath.unlink, missing_ok=True), self._row(name))

    def claim(self, name: str, number: int, owner: bytes) -> bool:
        """Create an object of a row with one conditional request."""
        return (self.folder / name).commit(_object_name(number), partial(_put, data=owner))

    def claims(self, name: str) -> dict[int, bytes]:
        """Read the objects of a row."""
        row = self._row(name)
        read = zip(row, at_once(True, _read, row), strict=True)
        return {_number(path): data for path, data in read if data is not None}

    def unclaim(self, name: str, number: int) -> None:
        """Delete an object of a row."""
        self.remove(f"{name}/{_object_name(number)}", ending="")

    def log(self, name: str) -> BucketLog:
        """Begin a log."""
        return BucketLog(self, name)

    def log_lines(self, name: str, most_bytes: int, most_line: int) -> Iterator[bytes]:
        """Read the objects of a log one after the other."""
        for path in self._row(name):
            if path.stat().st_size <= most_bytes and (data := _read(path)) is not None:
                yield from (line for line in data.split(b"\n") if line and len(line) <= most_line)

    def touch(self, name: str) -> None:
        """Put the object that says that a process is alive; compare the clocks the first time."""
        path = self.folder / (name + ALIVE)
        before = time.time()
        path.write_bytes(b"")
        if path.root not in _offsets:
            facts = path.bucket.facts(path.key, is_known=False)
            _offsets[path.root] = facts.st_mtime_ns / 1e9 - before

    def age_seconds(self, name: str) -> float | None:
        """Compare the object's time with the server's clock, as far as this process knows it."""
        path = self.folder / (name + ALIVE)
        try:
            facts = path.bucket.facts(path.key, is_known=False)
        except FileNotFoundError:
            return None
        return time.time() + _offsets.get(path.root, 0.0) - facts.st_mtime_ns / 1e9

    def alive(self, seconds: float) -> list[str]:
        """Compare the times in one listing with the server's clock."""
        now = time.time() + _offsets.get(self.folder.root, 0.0)
        return [
            name.removesuffix(ALIVE)
            for name in self.folder.file_names()
            if name.endswith(ALIVE)
            and now - (self.folder / name).stat().st_mtime_ns / 1e9 < seconds
        ]

    def remove(self, name: str, *, ending: str = ALIVE) -> None:
        """Delete an object; the object that says that a process is alive, if no other ending."""
        with suppress(StoreError):  # it counts as abandoned soon
            (self.folder / (name + ending)).unlink(missing_ok=True)

    def _row(self, name: str) -> list[ObjectPath]:
        """Return the numbered objects below a name, in order."""
        names = sorted((self.folder / name).file_names())
        return [self.folder / name / each for each in names if _ROW.fullmatch(each)]


def _object_name(number: int) -> str:
    return f"{number:06}.jsonl"  # `emo store erase` reads the ending


def _number(path: ObjectPath) -> int:
    return int(path.name.partition(".")[0])


def _read(path: ObjectPath) -> bytes | None:
    """Return the bytes of an object; None: it was deleted meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _put(file: BinaryIO, data: bytes) -> None:
    file.write(data)
