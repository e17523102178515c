"""`emo fit-head --cv`: cross-validate a head, score each fold and all folds together."""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emo.errors import OptionError
from emo.heads.data.folds import Folds, cut_folds
from emo.heads.data.load import LabelledClips, load_clips
from emo.heads.data.seen_clips import check_unseen
from emo.heads.fitting.folds.fold_fit import FitFold, FittedFold, fold_data
from emo.heads.fitting.folds.gather_folds import all_targets, gather_folds
from emo.heads.fitting.parallel import run_parallel, slots
from emo.heads.fitting.progress_files import (
    NOTHING_TO_RESUME,
    has_checkpoints,
    progress_files,
    remove_checkpoints,
)
from emo.heads.fitting.request import FitRequest, fit_request
from emo.heads.fitting.seeds import round_bar
from emo.heads.fitting.threads import torch_threads
from emo.heads.options import FitOptions
from emo.heads.runs.cross_result import CrossResult
from emo.heads.runs.result import score_title
from emo.heads.runs.test_ledger import record_scoring
from emo.heads.runs.write import run_folder, writing_run
from emo.heads.runs.write_folds import write_folds
from emo.heads.training.fingerprint import hash_of_folds, hash_of_run, question_of
from emo.manifest import Manifest
from emo.store.backend.location import Location

MOST_FOLD_BYTES = 4 * 2**30
"""Largest size of the scaled tokens of all folds that are fitted at the same time."""


def cross_validate(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path | None,
    options: FitOptions,
    *,
    by: str,
    within: Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> CrossResult:
    """Fit heads on every fold, choose rounds by the fold's ``val``, score its ``test`` once.

    With ``options.search`` each fold has a search of its own, on inner folds of its train and val.

    Args:
        manifest: the clips; their splits are not used.
        features: locations of stores from ``emo extract``.
        out: folder of the run, with scores and predictions but no head; None: nothing is written.
        options: options of the fit.
        by: a column, of which each value is left out once; or the number of folds.
        within: folder of runs that holds ``out``, see
            :func:`emo.heads.runs.test_ledger.record_scoring`.
        resume: continue what an interrupted cross-validation of this run left.
        progress: whether to show a bar on stderr; None: only if stderr is a terminal.

    Raises:
        EmoError: see :func:`emo.heads.fitting.fit.fit_head` and
            :func:`emo.heads.data.folds.cut_folds`.
    """
    if options.top_classes is not None:
        raise OptionError(
            "--top-classes and --cv: each fold would learn other answers, so that they could not "
            "be scored together; use the manifest's splits"
        )
    started = time.monotonic()
    request = fit_request(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        stack.enter_context(progress_files(out))
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(torch_threads(options.threads))
        loaded = _load(request)
        every = {"test": [clip.id for clip in loaded.clips]}
        seen = check_unseen(loaded.sources, every, allow_seen=options.allow_seen)
        folds = _cut(loaded, request, by)
        title = score_title(all_targets(loaded), options.loop.choose_by)
        notes = list(seen)
        notes += [NOTHING_TO_RESUME] if resume and not has_checkpoints(out) else []
        if not resume:
            remove_checkpoints(out)
        count = len(folds.folds)
        processes = _parallel_folds(loaded, count)
        fit_fold = FitFold(loaded, folds, request, by, resume)
        with (
            round_bar(request, title, progress) as on_round,
            torch_threads(1 if processes > 1 else None),
        ):
            fitted = list(run_parallel(fit_fold, int, count, processes=processes, report=on_round))
        result = gather_folds(fitted, loaded, folds, request, by=by, started=started, notes=notes)
        result = _with_seen(result, seen)
        if folder is not None and out is not None:
            with writing_run(out):
                tested = [clip_id for fold in result.folds for clip_id in fold.test.ids]
                question = hash_of_folds([each.question for each in fitted], by)
                earlier = record_scoring(out, tested, list(loaded.tasks), question, within=within)
                pooled = dataclasses.replace(result.pooled, earlier=earlier)
                result = dataclasses.replace(result, pooled=pooled)
                write_folds(folder, result)
                _write_trials(folder, fitted)
    return result


def _write_trials(folder: Path, fitted: Sequence[FittedFold]) -> None:
    """Write ``search.csv``, the trials of each fold's own search, if there was one."""
    tables = {each.fold.name: each.trials for each in fitted if each.trials is not None}
    if not tables:
        return
    import pandas as pd  # a second to import

    table = pd.concat(tables, names=["fold", ""]).reset_index(level=0)
    table.to_csv(folder / "search.csv", index=False, float_format="%.6g")


def _with_seen(result: CrossResult, seen: tuple[str, ...]) -> CrossResult:
    """Return a result that says which evaluated clips the features' weights had seen."""
    data = dataclasses.replace(result.pooled.data, seen=seen)
    return dataclasses.replace(result, pooled=dataclasses.replace(result.pooled, data=data))


def hash_of_folds_run(request: FitRequest, by: str) -> str:
    """Return the hash that a cross-validation has as ``question`` in its ``run.json``.

    Args:
        request: request of the run.
        by: how folds are made, see :func:`cross_validate`.
    """
    loaded = _load(request)
    datas = (fold_data(loaded, fold, request, by) for fold in _cut(loaded, request, by).folds)
    questions = [question_of(data, request.options) for data in datas]
    return hash_of_run(hash_of_folds(questions, by), request.options)


def _load(request: FitRequest) -> LabelledClips:
    """Read all labelled clips, whatever split they have in the manifest."""
    return load_clips(
        request.manifest, request.features, request.options,
        unit=request.kind.unit, uses_splits=False, scalings=request.initial.scalings,
    )  # fmt: skip


def _cut(loaded: LabelledClips, request: FitRequest, by: str) -> Folds:
    """Divide the clips into folds."""
    return cut_folds(
        loaded.clips,
        loaded.strata,
        by,
        seed=request.options.first_seed,
        unit=request.kind.unit,
        are_classes=loaded.are_strata_classes,
        cut=request.options.cut,
        columns=loaded.shared_columns,
    )


def _parallel_folds(loaded: LabelledClips, count: int) -> int:
    """Return how many of ``count`` folds are fitted at once; each has its own scaled tokens."""
    numbers = sum(tokens.values.size for tokens in loaded.tokens.values())
    fitting = int(MOST_FOLD_BYTES // max(1, numbers * np.dtype(np.float32).itemsize))
    return slots(max(1, min(count, fitting)), is_small=True)
