"""`--search N`: search hyperparameters with Optuna, judged on ``val`` alone; ``test`` is not used.

Trials run in parallel, one thread each, and are kept in a journal beside the run, so that an
interrupted search can be resumed. ``draw_trials.py`` draws their values. A trial ends early if its
best score is behind the median of the trials before it.
"""

import contextlib
import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emo
from emo import plugins
from emo.errors import FitError, naming_file, plural
from emo.heads.data.data import Data
from emo.heads.data.targets import score_unit
from emo.heads.fitting.draw_trials import (
    HEAD_PREFIX,
    TOGETHER,
    Proposal,
    TrialDrawer,
    space_of,
    with_values,
)
from emo.heads.fitting.parallel import run_parallel, slots
from emo.heads.fitting.request import Build
from emo.heads.fitting.threads import torch_threads
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.training.diverged import DivergedError
from emo.heads.training.fingerprint import hash_of_question, question_of
from emo.heads.training.loop import train_head
from emo.heads.training.outcome import Round
from emo.heads.training.pooling import pool_batch
from emo.machine.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd
    from optuna import Study
    from optuna.trial import FrozenTrial

LEAST_ROUNDS, LEAST_TRIALS = 5, 5
"""Rounds of a trial, and trials before it, without which it is not stopped."""

DIVERGED = -math.inf
"""Score of a trial whose training diverged."""

FinishedTrial = tuple[int, list[float]]
"""Number of a trial, and its scores on val, round by round."""


@dataclass(frozen=True, eq=False)
class Search:
    """The result of a search."""

    options: FitOptions
    """Options of the fit with the values of the best trial."""
    table: "pd.DataFrame"
    """One row for each trial: its number, its score on val and its values."""
    journal: Path | None
    """File in which the trials are kept until the run is written."""
    note: str
    """The best trial in one sentence, for the run's notes."""


def search(
    kind: type[Head],
    data: Data | Sequence[Data],
    options: FitOptions,
    *,
    journal: Path | None,
    progress: bool | None = None,
) -> Search:
    """Try ``options.search`` sets of values and keep the best on ``val``.

    Args:
        kind: class of the head.
        data: clips of the fit, of which train and val are used, and no batch holds labels of test;
            or several inner folds, whose mean score on val counts.
        options: options of the fit; searched options get a trial's value instead of a typed one.
        journal: file in which finished trials are kept, and found again; None: in memory only.
        progress: whether to show a bar on stderr; None: only if stderr is a terminal.

    Raises:
        FitError: the head declares no option to search, every trial diverged, or the journal
            cannot be written.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = space_of(kind, options)
    if not space:
        raise FitError(f"head {options.head} declares nothing to search; leave --search out")
    datas = (data,) if isinstance(data, Data) else tuple(data)
    with _naming_journal(journal):
        question = hash_of_question(question_of(datas[0], options))
        kept = _open_journal(journal, f"{question} of emo {emo.__version__}")
        earlier = kept.get_trials(deepcopy=False)
    drawer = TrialDrawer(space, seed=options.first_seed, earlier=earlier)

    def keep(done: FinishedTrial) -> None:
        """Write a finished trial to the journal, even if one before it is still running."""
        with _naming_journal(journal):
            kept.add_trial(drawer.trial_of(*done))

    _run_trials(_RunTrial(kind, datas, options), drawer, keep, progress)
    study = optuna.create_study(direction="maximize")
    study.add_trials(drawer.trials)
    if study.best_value == DIVERGED:
        raise FitError(
            f"--search: all {plural(len(study.trials), 'trial')} diverged; look for very large "
            "numbers in the features"
        )
    best = with_values(options, study.best_params)
    over = f"{len(datas)} inner folds" if len(datas) > 1 else "val"
    return Search(best, _table(study), journal, _note(study, over))


class _BehindError(Exception):
    """Ends the training of a trial that is behind the others."""


@dataclass(frozen=True, eq=False)
class _RunTrial:
    """Runs a trial: trains the head with one seed and returns its scores on val."""

    kind: type[Head]
    """Class of the head."""
    datas: tuple[Data, ...]
    """Clips of the fit, or inner folds of them; only train and val are used."""
    options: FitOptions
    """Options of the fit, before a trial's values are put in."""

    def __call__(self, proposal: Proposal, report: Callable[[FinishedTrial], None]) -> list[float]:
        """Return the scores on val, round by round, up to where the trial ends.

        Args:
            proposal: the trial's values. One that an interrupted search finished is not run again.
            report: called with the result as soon as it is there.
        """
        if proposal.curve is not None:
            return proposal.curve
        options = with_values(self.options, proposal.values)
        own: Any = plugins.parse_options(self.kind.Options, options.head_options, options.head)
        before = proposal.before if len(self.datas) == 1 else ()
        curves = [self._curve(data, options, own, before) for data in self.datas]
        curve = curves[0]
        if len(curves) > 1:
            curve = [statistics.fmean(max(each) for each in curves)]
        report((proposal.number, curve))
        return curve

    def _curve(
        self, data: Data, options: FitOptions, own: Any, before: Sequence[Sequence[float]]
    ) -> list[float]:
        """Train a head and return its scores on val, round by round, up to where it ends.

        Args:
            data: the clips.
            options: options with the trial's values.
            own: the head's options with the trial's values.
            before: scores of earlier trials, behind whose median the training is stopped.
        """
        build = Build(self.kind, data.dims, data.widths, own)
        head = build()
        train, val = (pool_batch(head, data.splits[name].batch) for name in ("train", "val"))
        curve: list[float] = []
        unit = score_unit(data.targets)

        def on_round(done: Round) -> None:
            curve.append(done.val_score * unit)
            if is_behind(curve, before):
                raise _BehindError

        try:
            train_head(build, train, val, options.loop, seed=options.first_seed, on_round=on_round)
        except _BehindError:
            pass
        except DivergedError:
            curve = [DIVERGED]
        return curve


def is_behind(curve: Sequence[float], before: Sequence[Sequence[float]]) -> bool:
    """Return whether a trial's best score is below the median of the others after as many rounds.

    Source: the median stopping rule of Golovin et al. 2017 (Vizier), section 3.2.1.

    Args:
        curve: scores on val of the trial, round by round.
        before: scores on val of the trials before it.
    """
    if len(curve) < LEAST_ROUNDS or len(before) < LEAST_TRIALS:
        return False
    return max(curve) < statistics.median(max(other[: len(curve)]) for other in before)


def _run_trials(
    run_trial: _RunTrial,
    drawer: TrialDrawer,
    keep: Callable[[FinishedTrial], None],
    progress: bool | None,
) -> None:
    """Draw and run all trials; the drawer holds them afterwards."""
    count = run_trial.options.search
    curves = run_parallel(
        run_trial, drawer.draw, count, processes=slots(min(count, TOGETHER), is_small=True),
        ahead=TOGETHER, report=keep,
    )  # fmt: skip
    bar = progress_bar(shown=progress, total=count, desc="search", unit=" trials")
    with bar, torch_threads(1):
        for number, curve in enumerate(curves):
            drawer.trials.append(drawer.trial_of(number, curve))
            bar.set_postfix_str(f"best on val {max(map(_score, drawer.trials)):.3f}")
            bar.update()


def _score(trial: "FrozenTrial") -> float:
    """Return a trial's best score on val."""
    return 0.0 if trial.value is None else float(trial.value)


def _table(study: "Study") -> "pd.DataFrame":
    """Return the number, score and values of each trial."""
    table = study.trials_dataframe(attrs=("number", "value", "params"))
    table = table.rename(columns=lambda name: name.removeprefix("params_"))
    return table.rename(columns={"value": "val_score"})


def _note(study: "Study", over: str) -> str:
    """Return the best trial in one sentence, with what its score is of."""
    values = ", ".join(
        f"{name.removeprefix(HEAD_PREFIX)} {_shown(value)}"
        for name, value in study.best_params.items()
    )
    diverged = sum(trial.value == DIVERGED for trial in study.trials)
    lost = f"; {plural(diverged, 'trial')} diverged" if diverged else ""
    return (
        f"search: the best of {plural(len(study.trials), 'trial')} scored "
        f"{study.best_value:.3f} on {over}: {values}{lost}"
    )


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value}"


@contextlib.contextmanager
def _naming_journal(journal: Path | None) -> Iterator[None]:
    """Turn errors of the journal inside the block into a FitError that names it.

    Optuna raises a RuntimeError when the disk does not let it release the journal's lock.
    """
    with naming_file(journal or "the journal", FitError):
        try:
            yield
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def _open_journal(journal: Path | None, name: str) -> "Study":
    """Open the study in which finished trials are kept.

    Args:
        journal: its file; None: keep it in memory.
        name: name of the study; a search of another question or by another version of emo has
            another name, so that no trials of both are compared.
    """
    import optuna
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage: BaseStorage | None = None
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls the journal experimental
            storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
