"""`emo fit-head`: manifest and stores in, a trained head and the evidence out."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from emo.heads.checkpoint import Checkpoints, open_checkpoints
from emo.heads.data import Data, read_data
from emo.heads.folder import run_folder, write_run
from emo.heads.ledger import note_on, record
from emo.heads.options import FitOptions
from emo.heads.question import question_of
from emo.heads.report import FitResult
from emo.heads.search import Search, search
from emo.heads.seeds import asked_of, check_served, fit_data
from emo.manifest import Manifest
from emo.store.place import Place

__all__ = ["FitOptions", "FitResult", "fit_head"]


def fit_head(
    manifest: Manifest,
    features: Sequence[Place],
    out: Path | None,
    options: FitOptions,
    *,
    resume: bool = False,
    progress: bool | None = None,
) -> FitResult:
    """Fit a head with every seed, choose rounds by ``val``, score ``test`` once, write the run.

    Args:
        manifest: the clips.
        features: stores from ``emo extract``.
        out: the run's folder, replaced if it holds an older run; None: nothing is written.
        options: what is asked.
        resume: go on with what an interrupted fit of this run left; without it, start anew.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: options, manifest, stores and folder from which no run can be made.
    """
    started = time.monotonic()
    asked = asked_of(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(threads(options.threads))
        data = read_data(
            manifest, features, options, unit=asked.kind.unit, scalings=asked.initials.scalings
        )
        found: Search | None = None
        if options.search:
            check_served(asked.kind, data, options)
            found = search(asked.kind, data, options, journal=_journal(out), progress=progress)
            asked = asked_of(manifest, features, out, found.options)
        checkpoints = kept_beside(out, data, asked.options, resume=resume)
        result = fit_data(data, asked, started, checkpoints=checkpoints, progress=progress)
        if folder is not None and out is not None:
            result = _with_earlier(result, record(out, data, asked.options))
            write_run(folder, result)
            if found is not None:
                found.table.to_csv(folder / "search.csv", index=False, float_format="%.6g")
    if found is not None and found.journal is not None:
        found.journal.unlink(missing_ok=True)  # its trials are in the run now
    forget(out)
    return result


def _with_earlier(result: FitResult, earlier: tuple[str, ...]) -> FitResult:
    """With a note on the runs that scored the same test clips before."""
    if not earlier:
        return result
    notes = (*result.data.notes, note_on(earlier))
    return dataclasses.replace(
        result, data=dataclasses.replace(result.data, notes=notes), earlier=earlier
    )


def kept_beside(
    out: Path | None, data: Data, options: FitOptions, *, resume: bool, part: str = ""
) -> Checkpoints | None:
    """The checkpoints of a run (of a fold, when ``part`` names one), in a folder beside it."""
    if out is None:
        return None
    folder = _checkpoints(out) / part
    return open_checkpoints(folder, question_of(data, options), resume=resume)


def forget(out: Path | None) -> None:
    """Remove the checkpoints of a run that is written."""
    if out is not None:
        shutil.rmtree(_checkpoints(out), ignore_errors=True)


def _checkpoints(out: Path) -> Path:
    return out.with_name(f".{out.name}.fit")


def _journal(out: Path | None) -> Path | None:
    """Where an interrupted search is found again: beside the run that it is for."""
    return None if out is None else out.with_name(f".{out.name}.search")


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Set torch's threads inside the block only."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
