"""What the files of a run folder are called, and its run.json read back; without torch."""

import csv
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emo.errors import FitError

RUN_FILE, WEIGHTS_FILE = "run.json", "head.safetensors"
CLIPS_FILE = "clips.csv"
FORMAT_VERSION = 1
"""Of the run folder."""


def predictions_file(target: str, *, is_first: bool) -> str:
    """The name of a target's table of predictions; that of the run's first target is short."""
    return "predictions.csv" if is_first else f"predictions-{file_name(target)}.csv"


def file_name(target: str) -> str:
    """The name of a target as a part of a file's name; two targets never share one."""
    return "".join(
        letter if letter.isalnum() or letter in "-_." else f"%{ord(letter):02X}"
        for letter in target
    )


def kept_columns(document: Mapping[str, Any], manifest: Path) -> dict[str, str]:
    """``{ours: theirs}`` with which the run's manifest was read, if this has the same bytes.

    Runs of before these were kept have none.
    """
    own = document.get("manifest", {})
    if not own.get("columns") or not manifest.is_file():
        return {}
    is_same = hashlib.sha256(manifest.read_bytes()).hexdigest() == own.get("sha256")
    return dict(own["columns"]) if is_same else {}


def read_document(path: Path) -> dict[str, Any]:
    """``run.json`` of a run folder."""
    try:
        document: dict[str, Any] = json.loads((path / RUN_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise FitError(
            f"{path} is no run folder ({RUN_FILE}: {error.strerror}); emo fit-head --out makes one"
        ) from error
    except ValueError as error:
        raise FitError(f"{path / RUN_FILE}: damaged: {error}. Fit it again.") from error
    if document.get("format_version") != FORMAT_VERSION:
        raise FitError(
            f"{path}: expected a run of format {FORMAT_VERSION}, got "
            f"{document.get('format_version')}; update emo, or fit again"
        )
    return document


Column = Sequence[object] | np.ndarray


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """Equally long columns, as ``DataFrame.to_csv(index=False)`` writes them; None, NaN: empty."""
    cells = [
        column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*map(_filled, cells), strict=True))


def _filled(cells: Sequence[object]) -> list[object]:
    return ["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]
