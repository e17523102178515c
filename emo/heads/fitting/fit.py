"""`emo fit-head`: fit a head on a manifest and stores, score it, and write the run."""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emo.heads.data.data import Data, read_data
from emo.heads.data.seen_clips import noting_seen
from emo.heads.fitting.progress_files import (
    NOTHING_TO_RESUME,
    has_checkpoints,
    progress_files,
    run_checkpoints,
    search_journal,
)
from emo.heads.fitting.request import FitRequest, check_request, fit_request
from emo.heads.fitting.search import Search, search
from emo.heads.fitting.seeds import fit_seeds, round_bar
from emo.heads.fitting.threads import torch_threads
from emo.heads.options import FitOptions
from emo.heads.runs.result import FitResult, score_title
from emo.heads.runs.test_ledger import record_scoring
from emo.heads.runs.write import options_document, run_folder, write_run, writing_run
from emo.heads.training.fingerprint import hash_of_question, hash_of_run, question_of
from emo.manifest import Manifest
from emo.store.backend.location import Location

__all__ = ["FitOptions", "FitResult", "fit_head"]


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
        features: locations of stores from ``emo extract``.
        out: folder of the run, replaced if it holds an older run; None: nothing is written.
        options: options of the fit.
        within: folder of runs that holds ``out``, see
            :func:`emo.heads.runs.test_ledger.record_scoring`.
        resume: continue what an interrupted fit of this run left; False: start again.
        progress: whether to show a bar on stderr; None: only if stderr is a terminal.

    Raises:
        EmoError: options, manifest, stores or folder from which no run can be made.
    """
    started = time.monotonic()
    request = fit_request(manifest, features, out, options)
    with contextlib.ExitStack() as stack:
        stack.enter_context(progress_files(out, searches=options.search > 0))
        folder = stack.enter_context(run_folder(out)) if out is not None else None
        stack.enter_context(torch_threads(options.threads))
        data = noting_seen(read_request_data(request), allow_seen=options.allow_seen)
        run_hash = hash_of_run(
            hash_of_question(question_of(data, request.options)), request.options
        )
        found: Search | None = None
        before: dict[str, Any] = {}
        if options.search:
            before = options_document(request.options, dataclasses.asdict(request.head_options))
            check_request(request.kind, data, request.options)
            journal = search_journal(out)
            found = search(request.kind, data, request.options, journal=journal, progress=progress)
            request = fit_request(manifest, features, out, found.options)
            data = dataclasses.replace(data, notes=(*data.notes, found.note))
        if resume and not has_checkpoints(out):
            data = dataclasses.replace(data, notes=(*data.notes, NOTHING_TO_RESUME))
        checkpoints = run_checkpoints(out, data, request.options, resume=resume)
        with round_bar(
            request, score_title(data.targets, options.loop.choose_by), progress
        ) as on_round:
            result = fit_seeds(data, request, started, checkpoints=checkpoints, on_round=on_round)
        result = dataclasses.replace(result, question=run_hash, before_search=before)
        if folder is not None and out is not None:
            with writing_run(out):
                tested = data.splits["test"].ids if "test" in data.splits else ()
                question = hash_of_question(question_of(data, request.options))
                earlier = record_scoring(out, tested, list(data.widths), question, within=within)
                result = dataclasses.replace(result, earlier=earlier)
                write_run(folder, result)
                if found is not None:
                    found.table.to_csv(folder / "search.csv", index=False, float_format="%.6g")
    return result


def read_request_data(request: FitRequest) -> Data:
    """Read the clips of a fit, divided into the manifest's splits."""
    return read_data(
        request.manifest, request.features, request.options,
        unit=request.kind.unit, scalings=request.initial.scalings,
    )  # fmt: skip
