"""`clips.csv` of a run: the clips that its head knows, so that no other is judged on them.

All clips that took part, labelled or not, and those that the runs of ``--init`` knew before.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from emo.errors import FitError
from emo.heads.data.data import Data
from emo.heads.runs.files import CLIPS_FILE

Known = Mapping[str, frozenset[str]]
"""By split, ids."""


def write_known(folder: Path, data: Data, inherited: Mapping[Path, Known]) -> None:
    """``id, split, init``: a row for each clip; ``init`` is the run that knew it before, if any."""
    with (folder / CLIPS_FILE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "split", "init"))
        for split, found in data.splits.items():
            table.writerows((clip_id, split, "") for clip_id in found.ids)
        for run, known in inherited.items():
            for split in ("train", "val"):
                ids = sorted(known.get(split, ()))
                table.writerows((clip_id, split, run) for clip_id in ids)


def read_known(run: Path) -> Known:
    """By split, the clips that the run's head knows.

    Raises:
        FitError: the run does not say it.
    """
    ids: dict[str, set[str]] = {}
    path = run / CLIPS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                ids.setdefault(row["split"], set()).add(row["id"])
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise FitError(
            f"--init {run}: {CLIPS_FILE}, which says what clips it knows, cannot be read "
            f"({error!r}); earlier versions of emo wrote none. Fit that run again."
        ) from error
    return {split: frozenset(known) for split, known in ids.items()}
