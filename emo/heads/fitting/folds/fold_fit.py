"""Fit and score the heads of one fold of a cross-validation."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emo.errors import FitError
from emo.heads.data.data import Data, split_data
from emo.heads.data.folds import Fold, Folds
from emo.heads.data.load import LabelledClips
from emo.heads.data.stream_scaling import requested_scalings
from emo.heads.fitting.folds.nested_search import search_in_fold
from emo.heads.fitting.progress_files import run_checkpoints
from emo.heads.fitting.request import FitRequest, with_options
from emo.heads.fitting.seeds import fit_seeds
from emo.heads.head import Batch
from emo.heads.runs.cross_result import FoldResult
from emo.heads.runs.result import FitResult
from emo.heads.training.fingerprint import question_of
from emo.heads.training.outcome import Outcome, Round

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class FittedFold:
    """What is kept of a fold after its heads are gone."""

    fold: FoldResult
    """Scores and predictions of the fold."""
    question: dict[str, Any]
    """Question of the fold's fit, see :mod:`emo.heads.training.fingerprint`."""
    notes: tuple[str, ...]
    """Notes on this fold alone, without its name."""
    outcomes: tuple[Outcome, ...]
    """Outcomes of all seeds, without weights."""
    trials: "pd.DataFrame | None" = None
    """Trials of the fold's own search; None: there was none."""


@dataclass(frozen=True, eq=False)
class FitFold:
    """Fits and scores the heads of the fold with a given index; it can be pickled."""

    loaded: LabelledClips
    """All clips of the cross-validation."""
    folds: Folds
    request: FitRequest
    """Request of the run."""
    by: str
    """How folds are made, as typed after ``--cv``."""
    resume: bool
    """Continue what an interrupted cross-validation left."""

    def __call__(self, index: int, report: Callable[[Round], None]) -> FittedFold:
        """Return the result of one fold.

        Args:
            index: index of the fold.
            report: called after each round.
        """
        started = time.monotonic()
        fold, request = self.folds.folds[index], self.request
        data = fold_data(self.loaded, fold, request, self.by)
        question = question_of(data, request.options)
        trials: pd.DataFrame | None = None
        with _named_errors(self.by, fold):
            if request.options.search:
                scalings = {**requested_scalings(self.loaded.sources, request.options)}
                found = search_in_fold(self.loaded, fold, request, scalings)
                request = with_options(request, found.options)
                trials = found.table
                data = dataclasses.replace(data, notes=(*data.notes, found.note))
            checkpoints = run_checkpoints(
                request.out, data, request.options, resume=self.resume, part=f"fold-{index}"
            )
            fitted = fit_seeds(data, request, started, checkpoints=checkpoints, on_round=report)
        known = {*self.loaded.notes, *fold.splits.notes}
        notes = tuple(note for note in fitted.data.notes if note not in known)
        outcomes = tuple(
            dataclasses.replace(outcome, state={}, refit={}) for outcome in fitted.outcomes
        )
        return FittedFold(_fold_result(fold, fitted), question, notes, outcomes, trials)


def fold_data(loaded: LabelledClips, fold: Fold, request: FitRequest, by: str) -> Data:
    """Return the clips of a fold in splits, scaled with the statistics of the fold's train.

    Raises:
        FitError: nothing can be learnt from the fold; the message names it.
    """
    requested = requested_scalings(loaded.sources, request.options)
    scalings = {**requested, **request.initial.scalings}
    with _named_errors(by, fold):
        return split_data(loaded, fold.splits, scalings=scalings, cut=request.options.cut)


@contextlib.contextmanager
def _named_errors(by: str, fold: Fold) -> Iterator[None]:
    """Put the name of the fold before the message of a FitError raised in the block."""
    try:
        yield
    except FitError as error:
        raise type(error)(f"--cv {by}, fold {fold.name}: {error}") from error


def _fold_result(fold: Fold, fitted: FitResult) -> FoldResult:
    """Return what a cross-validation reports about one fold, without tokens and weights."""
    test = fitted.data.splits["test"]
    return FoldResult(
        fold.name,
        {name: len(rows) for name, rows in fold.splits.rows.items()},
        dataclasses.replace(test, batch=Batch({}, pairs=test.batch.pairs)),
        {name: found["test"] for name, found in fitted.all_scores.items() if "test" in found},
        {
            name: {variant: found["test"] for variant, found in variants.items() if "test" in found}
            for name, variants in fitted.missing.items()
        },
        tuple(done for outcome in fitted.written_outcomes for done in outcome.history),
        fitted.best.choice,
        fitted.best.settings,
    )
