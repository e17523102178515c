"""`--search N`: hyperparameters by Optuna, judged on ``val`` alone; ``test`` is not looked at.

The space is what the head's options declare (``metadata={"search": (…)}``) and, for heads that
are trained by steps, the loop's below. Each trial's proposals depend on the trials before it and
its own number only, so that an interrupted search goes on as if it had not been.

Source: Akiba et al. 2019 (Optuna); Bergstra et al. 2011 (tree-structured Parzen estimator).
"""

import dataclasses
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from emo import plugins
from emo.errors import FitError
from emo.heads.data import Data
from emo.heads.head import Batch, Head
from emo.heads.loop import train_head
from emo.heads.options import FitOptions
from emo.heads.outcome import Outcome
from emo.heads.question import name_of, question_of

if TYPE_CHECKING:
    import pandas as pd

RATES = {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-4, 0.3)}
"""Of the loop, drawn on a logarithmic scale."""
CHOICES: dict[str, tuple[Any, ...]] = {"batch_size": (32, 64, 128), "label_smoothing": (0.0, 0.1)}
"""Of the loop."""
_HEAD = "head."


@dataclass(frozen=True, eq=False)
class Search:
    """How a search ended."""

    options: FitOptions
    """With the values of the best trial."""
    table: "pd.DataFrame"
    """One row a trial: its number, the score on val, and its values."""
    journal: Path | None
    """Where the trials are kept until the run is written."""


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
    study = _study(optuna, journal, name_of(question_of(data, options)))
    done = len(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))
    is_shown = sys.stderr.isatty() if progress is None else progress
    bar = tqdm(total=options.search, initial=min(done, options.search), desc="search",
               unit=" trials", disable=not is_shown, file=sys.stderr)  # fmt: skip
    with bar:
        for number in range(done, options.search):
            study.sampler = optuna.samplers.TPESampler(seed=options.first_seed * 100_003 + number)
            trial = study.ask()
            values = {name: _drawn(trial, name, choices) for name, choices in space.items()}
            outcome = _tried(kind, data, with_values(options, values))
            study.tell(trial, outcome.best.val_score)
            bar.set_postfix_str(f"best on val {study.best_value:.3f}")
            bar.update()
    table = study.trials_dataframe(attrs=("number", "value", "params"))
    table = table.rename(columns=lambda name: name.removeprefix("params_"))
    best = with_values(options, study.best_params)
    return Search(best, table.rename(columns={"value": "val_score"}), journal)


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


def _tried(kind: type[Head], data: Data, options: FitOptions) -> Outcome:
    own: Any = plugins.parse_options(kind.Options, options.head_options, options.head)

    def build() -> Head:
        return kind(data.dims, data.widths, options=own)

    with torch.no_grad():
        pooled: dict[str, Batch] = {
            name: build().pool(data.splits[name].batch) for name in ("train", "val")
        }
    return train_head(build, pooled["train"], pooled["val"], options.loop, seed=options.first_seed)


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
