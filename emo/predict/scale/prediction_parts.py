"""The folder or bucket of predictions: its parts by name, how they are committed and replaced.

``OUT/run=HASH/part-HASH.parquet`` holds the predictions of a chunk of clips. Those of a further
target are in ``OUT/run=HASH-TARGET/``, and clips without a prediction in ``_failures/`` beside
the parts, which readers of Parquet folders leave out. A part appears whole or not at all.
"""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from emo.errors import FitError, naming_file
from emo.heads.runs.files import RUN_FILE, WEIGHTS_FILE, file_name
from emo.store.backend.commit import TEMPORARY, commit, is_abandoned
from emo.store.backend.location import Location, file_names
from emo.store.backend.object_path import ObjectPath

if TYPE_CHECKING:
    import pyarrow

FAILURES = "_failures"
"""Name of the folder with the clips that have no prediction."""
_PART = re.compile(r"part-([0-9a-f]{32})\.parquet")


class PredictionParts:
    """The predictions of one run in a folder or bucket."""

    def __init__(self, out: Location, run: str, targets: Sequence[str]) -> None:
        """Make the folders.

        Args:
            out: the folder or bucket.
            run: hash of the run.
            targets: names of the run's targets, the first one first.

        Raises:
            FitError: the folders cannot be made.
        """
        self.folder = out / f"run={run}"
        """Folder of the first target's parts."""
        first, *others = targets
        self._by_target: dict[str, Location] = {first: self.folder}
        for name in others:
            self._by_target[name] = out / f"run={run}-{file_name(name)}"
        self._failures = self.folder / FAILURES
        with naming_file(out, FitError):
            for folder in (*self._by_target.values(), self._failures):
                folder.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()

    def names(self) -> set[str]:
        """Return the names of the committed parts."""
        return _parts_in(self.folder)

    def names_with_failures(self) -> set[str]:
        """Return the names of the parts some of whose clips have no prediction."""
        return _parts_in(self._failures)

    def commit(
        self, name: str, tables: dict[str, "pyarrow.Table"], failures: "pyarrow.Table"
    ) -> None:
        """Commit a part; the first target's file comes last and says that the part is done.

        Args:
            name: name of the part.
            tables: target -> its predictions.
            failures: clips without one, and reasons.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        if failures.num_rows:
            commit(self._failures, part_file(name), _writer(failures))
        for target, folder in reversed(self._by_target.items()):
            commit(folder, part_file(name), _writer(tables[target]))

    def remove(self, name: str) -> None:
        """Remove a part; the first target's file goes last, so that a repeat ends the removal."""
        for folder in (self._failures, *reversed(self._by_target.values())):
            (folder / part_file(name)).unlink(missing_ok=True)

    def ids(self, name: str) -> list[str]:
        """Return the ids of the clips of a part, without those that have no prediction."""
        found: list[str] = _read(self.folder / part_file(name), ["id"]).column("id").to_pylist()
        return found

    def labels(self, name: str) -> list[str]:
        """Return the predicted classes of the clips of a part, those of the first target."""
        table = _read(self.folder / part_file(name), ["prediction"])
        found: list[str] = table.column("prediction").to_pylist()
        return found

    def failures(self, name: str) -> dict[str, str]:
        """Return the clips of a part that have no prediction, and why."""
        table = _read(self._failures / part_file(name), ["id", "reason"])
        return dict(
            zip(table.column("id").to_pylist(), table.column("reason").to_pylist(), strict=True)
        )

    def remove_superseded(self, planned: set[str], hashes: np.ndarray) -> int:
        """Remove parts that hold clips of the manifest but are not planned; return how many.

        Parts of other clips stay. They are removed before new parts are written, so that no clip
        is in two parts at any time.

        Args:
            planned: names of the parts of the manifest.
            hashes: sorted uint64 (N,), hashes of the manifest's ids.
        """
        from emo.predict.scale.tokens import hashes_of

        count, failed = 0, self.names_with_failures()
        for name in sorted((self.names() | failed) - planned):
            ids = list(self.failures(name)) if name in failed else []
            with suppress(FileNotFoundError):
                ids += self.ids(name)
            own = hashes_of(ids)
            at = np.searchsorted(hashes, own).clip(max=len(hashes) - 1)
            if len(hashes) and (hashes[at] == own).any():
                self.remove(name)
                count += 1
        return count

    def _remove_abandoned(self) -> None:
        """Remove temporary files of processes that were killed."""
        for folder in (*self._by_target.values(), self._failures):
            for name in [] if isinstance(folder, ObjectPath) else file_names(folder):
                with suppress(OSError):
                    if name.startswith(TEMPORARY) and is_abandoned(folder / name):
                        (folder / name).unlink()


def run_hash(run: Path) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of a run's document and weights."""
    total = hashlib.sha256()
    for name in (RUN_FILE, WEIGHTS_FILE):
        with open(run / name, "rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


def _parts_in(folder: Location) -> set[str]:
    return {found[1] for name in file_names(folder) if (found := _PART.fullmatch(name))}


def part_file(name: str) -> str:
    """Return the name of the file of a part."""
    return f"part-{name}.parquet"


def _read(path: Location, columns: list[str]) -> "pyarrow.Table":
    """Read columns of a Parquet file, local or in a bucket."""
    import pyarrow.parquet

    data = path.read_bytes()
    return pyarrow.parquet.ParquetFile(io.BytesIO(data)).read(columns)


def _writer(table: "pyarrow.Table") -> Callable[[BinaryIO], None]:
    """Return a function that writes a table to a file as Parquet."""
    import pyarrow.parquet

    def write(file: BinaryIO) -> None:
        pyarrow.parquet.write_table(table, file, compression="zstd")

    return write
