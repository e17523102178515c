"""openface: the CSV files of OpenFace 2, one for each clip, with a row for each frame.

Source: TadasBaltrusaitis/OpenFace, wiki "Output Format".
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from emo.errors import StoreError
from emo.store.exchange.clip_folder import check_folder
from emo.store.exchange.contents import Contents
from emo.store.exchange.format import Format
from emo.store.exchange.per_clip import ClipArray, array_of, streams_of_clips
from emo.store.exchange.tables.columns import ColumnOptions
from emo.store.exchange.tables.one_clip import TokenTables, UnfitClip
from emo.store.exchange.tables.spool import Spool

_FACTS = ("frame", "face_id", "timestamp", "confidence", "success")
"""Columns that say when and how surely a face was measured."""


@dataclass(frozen=True)
class OpenFaceOptions(ColumnOptions):
    """Options for reading OpenFace's CSV files."""

    columns: str = field(
        default="*",
        metadata={"help": "Columns: names or globs such as AU*_r; STREAM=GLOB makes streams."},
    )
    failed: Literal["keep", "drop"] = field(
        default="keep",
        metadata={"help": "drop: leave out frames without a face (success 0), whose numbers say "
                  "nothing."},
    )  # fmt: skip
    face: int | None = field(
        default=None, metadata={"help": "The face_id to take, where files hold several faces."}
    )


class OpenFace(Format):
    """A folder of OpenFace CSV files; frame, timestamp, confidence and success are no features."""

    extension = ""
    can_write = False
    ReadOptions = OpenFaceOptions

    @contextmanager
    def read(self, path: Path, options: OpenFaceOptions) -> Iterator[Contents]:
        """Read a file for each clip; the name of a file is the clip's id."""
        check_folder(path)
        files = sorted(path.rglob("*.csv")) if path.is_dir() else []
        if not files:
            raise StoreError(f"{path}: expected a folder with CSV files of OpenFace, found none")
        tables = TokenTables(
            options,
            self.budget(path),
            stream="openface",
            facts=_FACTS,
            keep=partial(_keep, options),
        )
        streams: dict[str, dict[str, ClipArray]] = {}
        notes: dict[str, dict[str, float]] = {}
        failures, lost = {}, 0
        with Spool() as spool:
            ids = {file: file.relative_to(path).with_suffix("").as_posix() for file in files}
            for file, table in tables.read_each(files, tables.read):
                clip_id = ids[file]
                if isinstance(table, UnfitClip):
                    failures[clip_id] = str(table)
                    continue
                success = _success(table.facts, file)
                lost += int((success == 0).sum())
                if not success.any() or not len(next(iter(table.streams.values()))):
                    asked = "" if options.face is None else f" with face_id {options.face}"
                    failures[clip_id] = f"OpenFace found no face{asked} in any frame"
                    continue
                notes[clip_id] = {"face_share": float((success != 0).mean())}
                for name, tokens in table.streams.items():
                    array = array_of(tokens.shape, tokens.dtype, spool.add(tokens), str(file))
                    streams.setdefault(name, {})[clip_id] = array
            if not streams:
                why = next(iter(failures.values()))
                raise StoreError(f"{path}: no file has a frame with a face; the first: {why}")
            clips = [clip_id for clip_id in ids.values() if clip_id not in failures]
            is_kept = "left out" if options.failed == "drop" else "kept (-o failed=drop)"
            yield Contents(
                clips, streams_of_clips(streams, clips, {}), failures=failures, notes=notes,
                facts={"columns": {name: list(each) for name, each in tables.columns.items()}},
                lines=(
                    "ids: names of the files without .csv", *tables.lines,
                    f"no features: {', '.join(_FACTS)}",
                    f"frames without a face: {lost:,}, {is_kept}",
                ),
            )  # fmt: skip


def _success(facts: Mapping[str, np.ndarray], file: Path) -> np.ndarray:
    """Return float64 (rows,): 1 for each frame with a face; raise StoreError for other files."""
    if "success" not in facts or "frame" not in facts:
        raise StoreError(
            f"{file}: not a CSV of OpenFace, which has the columns frame and success; "
            "`emo store import files` reads any CSV"
        )
    return facts["success"]


def _keep(options: OpenFaceOptions, facts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return bool (rows,): the frames that are tokens."""
    rows = len(next(iter(facts.values()), ()))
    keep = np.ones(rows, bool)
    faces = np.unique(facts["face_id"]) if "face_id" in facts else np.zeros(1)
    if options.face is not None and "face_id" in facts:
        keep &= facts["face_id"] == options.face
    elif len(faces) > 1:
        found = ", ".join(f"{face:g}" for face in faces[:8])
        raise StoreError(f"it holds several faces (face_id {found}); choose with -o face=N")
    if options.failed == "drop" and "success" in facts:
        keep &= facts["success"] != 0
    return keep
