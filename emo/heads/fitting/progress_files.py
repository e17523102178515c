"""Files that a fit keeps beside its run until the run is written: checkpoints, journal, lock."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from emo.heads.data.data import Data
from emo.heads.fitting.lock import locked
from emo.heads.options import FitOptions
from emo.heads.training.checkpoint import Checkpoints, open_checkpoints
from emo.heads.training.diverged import DivergedError
from emo.heads.training.fingerprint import question_of

NOTHING_TO_RESUME = "--resume: no interrupted fit had left anything here, so this one began anew"


@contextlib.contextmanager
def progress_files(out: Path | None, *, searches: bool = False) -> Iterator[None]:
    """Hold the lock of a run inside the block; remove checkpoints and journal if it succeeds.

    If it fails before any seed was kept, the folder of checkpoints is removed too.

    Args:
        out: folder of the run; None: there is no run on disk.
        searches: the fit has a search, whose journal is removed too.

    Raises:
        FitError: another fit of this ``out`` is running.
    """
    with locked(out):
        try:
            yield
        except DivergedError:
            remove_checkpoints(out)  # going on from them would diverge again
            raise
        except BaseException:
            if out is not None and not any(_checkpoints_folder(out).rglob("*.safetensors")):
                remove_checkpoints(out)
            raise
        journal = search_journal(out)
        if searches and journal is not None:
            journal.unlink(missing_ok=True)  # the run has its trials now
        remove_checkpoints(out)


def run_checkpoints(
    out: Path | None, data: Data, options: FitOptions, *, resume: bool, part: str = ""
) -> Checkpoints | None:
    """Open the checkpoints of a run, in a folder beside it; None: the run is not written.

    Args:
        out: folder of the run.
        data: clips of the fit.
        options: options of the fit.
        resume: continue what an interrupted fit left.
        part: name of a sub-folder, one for each fold of a cross-validation.
    """
    if out is None:
        return None
    folder = _checkpoints_folder(out) / part
    return open_checkpoints(folder, question_of(data, options), resume=resume)


def has_checkpoints(out: Path | None) -> bool:
    """Return whether an interrupted fit of this run left checkpoints."""
    return out is not None and _checkpoints_folder(out).is_dir()


def remove_checkpoints(out: Path | None) -> None:
    """Remove the checkpoints of a run."""
    if out is not None:
        shutil.rmtree(_checkpoints_folder(out), ignore_errors=True)


def search_journal(out: Path | None) -> Path | None:
    """Return the file in which the trials of a run's search are kept; None: in memory only."""
    return None if out is None else out.with_name(f".{out.name}.search")


def _checkpoints_folder(out: Path) -> Path:
    return out.with_name(f".{out.name}.fit")
