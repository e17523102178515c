"""`clips.csv` of a run: ids and splits of the clips it was fitted on, which ``--init`` checks.

The file lists all clips that took part, labelled or not, and the clips of the runs that the head
started from, so that no later fit is scored on clips that its head has seen.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from emo.errors import FitError
from emo.heads.data.data import Data
from emo.heads.runs.files import CLIPS_FILE
from emo.machine.untrusted.documents import shortened
from emo.machine.untrusted.files import read_regular
from emo.store.adapted import MOST_LIST_BYTES, ClipIds, parse_clip_ids


def write_clip_ids(folder: Path, data: Data, inherited: Mapping[Path, ClipIds]) -> None:
    """Write a row ``id, split, init`` for each clip.

    Args:
        folder: folder of the run.
        data: clips of the fit; their ``init`` is empty.
        inherited: clips of each run of ``--init``, whose folder is their ``init``.
    """
    with (folder / CLIPS_FILE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "split", "init"))
        for split, found in data.splits.items():
            table.writerows((clip_id, split, "") for clip_id in found.ids)
        for run, known in inherited.items():
            for split in ("train", "val"):
                ids = sorted(known.get(split, ()))
                table.writerows((clip_id, split, run) for clip_id in ids)


def read_clip_ids(run: Path) -> ClipIds:
    """Read the ids of the clips that a run was fitted on, by split.

    Raises:
        FitError: the run has no such file, or it is damaged.
    """
    path = run / CLIPS_FILE
    try:
        return parse_clip_ids(read_regular(path, most_bytes=MOST_LIST_BYTES, follow_links=True))
    except (OSError, ValueError) as error:
        raise FitError(
            f"--init {run}: {CLIPS_FILE}, the list of its clips, cannot be read "
            f"({shortened(repr(error))}). Earlier versions of emo did not write it: fit that run "
            "again."
        ) from error
