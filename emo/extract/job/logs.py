"""Logs of a job: one file a worker, a JSON line for every clip and part; reading them again."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from emo.extract.job.journal import FRESH_SECONDS, log_name, me
from emo.store.backend.commit import cannot_write

BEAT_SECONDS = FRESH_SECONDS / 4


class TaskLog:
    """One worker's; every line is written out at once, so that a killed worker leaves it whole."""

    def __init__(self, folder: Path, **facts: object) -> None:
        """Start ``<machine>-<pid>-<word>.jsonl`` with a line of ``facts``."""
        self.path = folder / log_name(me())
        try:
            # unbuffered: what a full disk refused must not be tried again when the file is closed
            self._file = self.path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(folder, error) from error
        self.write("start", **facts)
        self._is_closed = threading.Event()
        threading.Thread(target=self._stay_fresh, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        self._file.close()

    def _stay_fresh(self) -> None:
        """By the file's time other machines know that its worker lives, however long a clip is."""
        while not self._is_closed.wait(BEAT_SECONDS):
            with suppress(OSError):  # the folder is out of reach; writing to it will tell
                os.utime(self.path)

    def write(self, event: str, **facts: object) -> None:
        """One line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **facts}
        try:
            self._file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error


def read_logs(folder: Path) -> Iterator[dict[str, Any]]:
    """All lines of all workers, file by file; a line that was cut is left out."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:  # cut, perhaps inside a letter
                    continue
