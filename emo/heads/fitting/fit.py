"""`emo fit-head`: manifest and stores in, a trained head and the evidence out."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from emo.heads.data.data import Data, read_data
from emo.heads.fitting.lock import alone
from emo.heads.fitting.request import FitRequest, check_served, fit_request
from emo.heads.fitting.search import Search, search
from emo.heads.fitting.seeds import bar_of_rounds, fit_data
from emo.heads.options import FitOptions
from emo.heads.runs.result import FitResult, titles
from emo.heads.runs.test_ledger import record
from emo.heads.runs.write import run_folder, write_run, writing_run
from emo.heads.training.checkpoint import Checkpoints, open_checkpoints
from emo.heads.training.fingerprint import hash_of_question, hash_of_run, question_of
from emo.manifest import Manifest
from emo.store.backend.location import Location

__all__ = ["FitOptions", "FitResult", "fit_head"]

NOTHING_LEFT = "--resume: no interrupted fit had left anything here, so this one began anew"


def fit_head(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path | None,
    options: FitOptions,
    *,
    within: Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> FitResult:
    """Fit a head with every seed, choose rounds by ``val``, score ``test`` once, write the run.

    Args:
        manifest: the clips.
        features: stores from ``emo extract``.
        out: the run's folder, replaced if it holds an older run; None: nothing is written.
        options: what is asked.
        within: as of :func:`emo.heads.runs.test_ledger.record`.
        resume: go on with what an interrupted fit of this run left; without it, start anew.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        EmoError: options, manifest, stores and folder from which no run can be made.
    """
    started = time.monotonic()
    asked = fit_request(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        stack.enter_context(kept_for(out, searches=options.search > 0))
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(threads(options.threads))
        data = asked_data(asked)
        run = hash_of_run(hash_of_question(question_of(data, options)), options)
        found: Search | None = None
        if options.search:
            check_served(asked.kind, data, options)
            found = search(asked.kind, data, options, journal=_journal(out), progress=progress)
            asked = fit_request(manifest, features, out, found.options)
            data = dataclasses.replace(data, notes=(*data.notes, found.note))
        if resume and not was_left(out):
            data = dataclasses.replace(data, notes=(*data.notes, NOTHING_LEFT))
        checkpoints = kept_beside(out, data, asked.options, resume=resume)
        with bar_of_rounds(asked, titles(data.targets), progress) as tell:
            result = fit_data(data, asked, started, checkpoints=checkpoints, tell=tell)
        result = dataclasses.replace(result, question=run)
        if folder is not None and out is not None:
            with writing_run(out):
                tested = data.splits["test"].ids if "test" in data.splits else ()
                question = hash_of_question(question_of(data, asked.options))
                earlier = record(out, tested, list(data.widths), question, within=within)
                result = dataclasses.replace(result, earlier=earlier)
                write_run(folder, result)
                if found is not None:
                    found.table.to_csv(folder / "search.csv", index=False, float_format="%.6g")
    return result


def asked_data(asked: FitRequest) -> Data:
    """The clips of a fit, by the manifest's splits."""
    return read_data(
        asked.manifest, asked.features, asked.options,
        unit=asked.kind.unit, scalings=asked.initials.scalings,
    )  # fmt: skip


def kept_beside(
    out: Path | None, data: Data, options: FitOptions, *, resume: bool, part: str = ""
) -> Checkpoints | None:
    """The checkpoints of a run (of a fold, when ``part`` names one), in a folder beside it."""
    if out is None:
        return None
    folder = _checkpoints(out) / part
    return open_checkpoints(folder, question_of(data, options), resume=resume)


@contextlib.contextmanager
def kept_for(out: Path | None, *, searches: bool = False) -> Iterator[None]:
    """Be alone with what is kept beside a run, and forget it when the run is written.

    Raises:
        FitError: another fit of this ``out`` is at work.
    """
    with alone(out):
        yield
        journal = _journal(out)
        if searches and journal is not None:
            journal.unlink(missing_ok=True)  # its trials are in the run now
        forget(out)


def was_left(out: Path | None) -> bool:
    """An interrupted fit left something of this run."""
    return out is not None and _checkpoints(out).is_dir()


def forget(out: Path | None) -> None:
    """Remove the checkpoints of a run."""
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
