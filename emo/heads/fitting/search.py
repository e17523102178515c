"""`--search N`: hyperparameters by Optuna, judged on ``val`` alone; ``test`` is not looked at.

The space is what the head's options declare (``metadata={"search": (…)}``) and, for heads that
are trained by steps, the loop's below. Trials run side by side, on one thread each. The values of
one depend on its number and on the trials up to :data:`TOGETHER` before it, no others, so that any
number of threads finds the same, and an interrupted search goes on as if it had not been. A trial
whose best round is behind the median of those trials, as they stood at that round, ends there.

Source: Akiba et al. 2019 (Optuna); Bergstra et al. 2011 (tree-structured Parzen estimator).
"""

import contextlib
import dataclasses
import statistics
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from emo import plugins
from emo.errors import FitError
from emo.heads.data.data import Data
from emo.heads.fitting.parallel import one_thread, side_by_side, slots
from emo.heads.fitting.request import Build
from emo.heads.head import Head
from emo.heads.options import FitOptions
from emo.heads.training.fingerprint import hash_of_question, question_of
from emo.heads.training.loop import train_head
from emo.heads.training.outcome import Round

if TYPE_CHECKING:
    import pandas as pd

RATES = {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-4, 0.3)}
"""Of the loop, drawn on a logarithmic scale."""
CHOICES: dict[str, tuple[Any, ...]] = {"batch_size": (32, 64, 128), "label_smoothing": (0.0, 0.1)}
"""Of the loop."""
PATIENT_ROUNDS, PATIENT_TRIALS = 5, 5
"""Before a trial can be behind: its own rounds, and trials before it."""
TOGETHER = 4
"""Trials under way at once, at most."""
_HEAD = "head."
_CURVE, _NUMBER = "val_scores", "number"


@dataclass(frozen=True, eq=False)
class Search:
    """How a search ended."""

    options: FitOptions
    """With the values of the best trial."""
    table: "pd.DataFrame"
    """One row a trial: its number, the score on val, and its values."""
    journal: Path | None
    """Where the trials are kept until the run is written."""
    note: str
    """What was found, for the run's notes."""


def search(
    kind: type[Head],
    data: Data,
    options: FitOptions,
    *,
    journal: Path | None,
    progress: bool | None = None,
) -> Search:
    """Try ``options.search`` sets of values and keep the best on ``val``.

    Args:
        kind: the head.
        data: its train and val splits are used; test labels are not in any batch.
        options: what is asked; values that were typed for a searched option are replaced.
        journal: trials are written here as they finish, and found again; None: kept in memory.
        progress: a bar on stderr; None: if that is a terminal.

    Raises:
        FitError: the head declares nothing to search.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = space_of(kind, options)
    if not space:
        raise FitError(f"head {options.head} declares nothing to search; leave --search out")
    kept = _study(optuna, journal, hash_of_question(question_of(data, options)))
    earlier = {
        trial.user_attrs[_NUMBER]: trial
        for trial in kept.get_trials(deepcopy=False) if _NUMBER in trial.user_attrs
    }  # fmt: skip
    proposals: list[_Proposal] = []
    trials: list[Any] = []

    def propose(number: int) -> _Proposal:
        before = trials[: max(0, number - TOGETHER + 1)]
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=options.first_seed * 100_003 + number),
        )
        study.add_trials(before)
        trial = study.ask()
        values = {name: _drawn(trial, name, choices) for name, choices in space.items()}
        is_judged = "learning_rate" in space  # a solver's curve is not of epochs
        curves = tuple(other.user_attrs[_CURVE] for other in before) if is_judged else ()
        known, curve = earlier.get(number), None
        if known is not None and known.params == values:  # another Optuna would draw others
            curve = known.user_attrs[_CURVE]
        proposals.append(_Proposal(number, values, trial.distributions, curves, curve))
        return proposals[-1]

    def trial_of(number: int, curve: list[float]) -> Any:
        return optuna.trial.create_trial(
            value=max(curve), params=proposals[number].values,
            distributions=proposals[number].distributions,
            user_attrs={_CURVE: curve, _NUMBER: number},
        )  # fmt: skip

    def keep(done: tuple[int, list[float]]) -> None:
        """At once, though trials before it may still be under way."""
        kept.add_trial(trial_of(*done))

    is_shown = sys.stderr.isatty() if progress is None else progress
    bar = tqdm(total=options.search, desc="search", unit=" trials", disable=not is_shown,
               file=sys.stderr)  # fmt: skip
    curves = side_by_side(
        _Try(kind, data, options), propose, options.search,
        at_once=slots(min(options.search, TOGETHER), is_small=True), ahead=TOGETHER, tell=keep,
    )  # fmt: skip
    with bar, one_thread(True):
        for number, curve in enumerate(curves):
            trials.append(trial_of(number, curve))
            bar.set_postfix_str(f"best on val {max(trial.value for trial in trials):.3f}")
            bar.update()
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    table = study.trials_dataframe(attrs=("number", "value", "params"))
    table = table.rename(columns=lambda name: name.removeprefix("params_"))
    best = with_values(options, study.best_params)
    values = ", ".join(
        f"{name.removeprefix(_HEAD)} {value:.3g}" if isinstance(value, float) else
        f"{name.removeprefix(_HEAD)} {value}" for name, value in study.best_params.items()
    )  # fmt: skip
    note = (
        f"search: the best of {len(trials)} trials scored {study.best_value:.3f} on val: {values}"
    )
    return Search(best, table.rename(columns={"value": "val_score"}), journal, note)


def space_of(kind: type[Head], options: FitOptions) -> dict[str, tuple[Any, ...] | None]:
    """By name, the choices; None: a rate of :data:`RATES`. The head's own begin with ``head.``."""
    given: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    own: dict[str, tuple[Any, ...] | None] = {
        _HEAD + item.name: tuple(item.metadata["search"])
        for item in dataclasses.fields(given)
        if "search" in item.metadata
    }
    is_exact = getattr(given, "solver", "") not in ("", "adamw")
    return own if is_exact else {**own, **dict.fromkeys(RATES), **CHOICES}


def with_values(options: FitOptions, values: Mapping[str, Any]) -> FitOptions:
    """The options with the values of a trial; ``search`` stays, to be recorded in the run."""
    own = {name.removeprefix(_HEAD): v for name, v in values.items() if name.startswith(_HEAD)}
    loop = {name: value for name, value in values.items() if not name.startswith(_HEAD)}
    texts = {name: str(value) for name, value in own.items()}
    return dataclasses.replace(options, head_options={**options.head_options, **texts}, **loop)


def _drawn(trial: Any, name: str, choices: tuple[Any, ...] | None) -> Any:
    if choices is not None:
        return trial.suggest_categorical(name, choices)
    low, high = RATES[name]
    return trial.suggest_float(name, low, high, log=True)


@dataclass(frozen=True)
class _Proposal:
    """One trial's values, and what it is judged by."""

    number: int
    values: dict[str, Any]
    distributions: dict[str, Any]
    before: tuple[list[float], ...]
    """Curves of the trials before it."""
    curve: list[float] | None
    """Of an earlier search, that was interrupted."""


class _BehindError(Exception):
    """Ends a trial."""


@dataclass(frozen=True, eq=False)
class _Try:
    """The scores on val, round by round, up to where a trial is behind those before it."""

    kind: type[Head]
    data: Data
    options: FitOptions

    def __call__(
        self, proposal: _Proposal, tell: Callable[[tuple[int, list[float]]], None]
    ) -> list[float]:
        """``tell`` hears of the curve at once."""
        if proposal.curve is not None:
            return proposal.curve
        options = with_values(self.options, proposal.values)
        own: Any = plugins.parse_options(self.kind.Options, options.head_options, options.head)
        build = Build(self.kind, self.data.dims, self.data.widths, own)
        with torch.no_grad():
            head = build()
            train, val = (head.pool(self.data.splits[name].batch) for name in ("train", "val"))
        curve: list[float] = []

        def watch(done: Round) -> None:
            curve.append(done.val_score)
            if is_behind(curve, proposal.before):
                raise _BehindError

        with contextlib.suppress(_BehindError):
            train_head(build, train, val, options.loop, seed=options.first_seed, watch=watch)
        tell((proposal.number, curve))
        return curve


def is_behind(curve: Sequence[float], before: Sequence[Sequence[float]]) -> bool:
    """Its best so far is below the median of the others' best in as many rounds.

    Source: the median stopping rule of Golovin et al. 2017 (Vizier), section 3.2.1.
    """
    if len(curve) < PATIENT_ROUNDS or len(before) < PATIENT_TRIALS:
        return False
    return max(curve) < statistics.median(max(other[: len(curve)]) for other in before)


def _study(optuna: Any, journal: Path | None, name: str) -> Any:
    storage = None
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "experimental", for years
            backend = optuna.storages.journal.JournalFileBackend(str(journal))
            storage = optuna.storages.JournalStorage(backend)
    return optuna.create_study(
        study_name=name, storage=storage, direction="maximize", load_if_exists=True
    )
