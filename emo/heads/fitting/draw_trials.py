"""What `--search` draws: the space of a head's and the loop's options, and each trial's values.

The space is what the head's options declare (``metadata={"search": (…)}``) and, for a head that is
trained by gradient steps, the options of the loop below. The values of a trial depend on its number
and on the trials that are at least :data:`TOGETHER` before it. So any number of threads draws the
same values, and an interrupted search continues as if it had not been interrupted.

Source: Bergstra et al. 2011 (tree-structured Parzen estimator), in Optuna (Akiba et al. 2019).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emo import plugins
from emo.heads.head import Head
from emo.heads.options import FitOptions

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

RATES = {"learning_rate": (1e-4, 1e-2), "weight_decay": (1e-4, 0.3)}
"""Options of the loop that are drawn from a range, on a logarithmic scale."""
CHOICES: dict[str, tuple[Any, ...]] = {"batch_size": (32, 64, 128), "label_smoothing": (0.0, 0.1)}
"""Options of the loop that are drawn from a list."""
TOGETHER = 4
"""Largest number of trials that run at the same time."""
HEAD_PREFIX = "head."
"""Beginning of the names of the head's own options."""
_CURVE, _NUMBER = "val_scores", "number"

Space = dict[str, tuple[Any, ...] | None]
"""By name of an option, the values to choose from; None: a range of :data:`RATES`."""


def space_of(kind: type[Head], options: FitOptions) -> Space:
    """Return the options that a search varies.

    Args:
        kind: class of the head.
        options: options of the fit, with the head's own options.
    """
    given: Any = plugins.parse_options(kind.Options, options.head_options, options.head)
    own: Space = {
        HEAD_PREFIX + item.name: tuple(item.metadata["search"])
        for item in dataclasses.fields(given)
        if "search" in item.metadata
    }
    is_exact = getattr(given, "solver", "") not in ("", "adamw")
    return own if is_exact else {**own, **dict.fromkeys(RATES), **CHOICES}


def with_values(options: FitOptions, values: Mapping[str, Any]) -> FitOptions:
    """Return the options with a trial's values; ``search`` stays, so that the run records it."""
    own = {
        name.removeprefix(HEAD_PREFIX): str(value)
        for name, value in values.items()
        if name.startswith(HEAD_PREFIX)
    }
    loop = {name: value for name, value in values.items() if not name.startswith(HEAD_PREFIX)}
    return options.replace(head_options={**options.head_options, **own}, **loop)


@dataclass(frozen=True)
class Proposal:
    """The values of one trial, and the trials that it is compared with."""

    number: int
    """Number of the trial, from 0."""
    values: dict[str, Any]
    """Name of an option -> value of this trial."""
    distributions: "dict[str, BaseDistribution]"
    """Optuna's description of what each value was drawn from."""
    before: tuple[list[float], ...]
    """Scores on val, round by round, of each trial with a lower number; empty for a solver, whose
    rounds are no epochs."""
    curve: list[float] | None
    """Scores on val of this trial if an interrupted search had finished it; None: not yet run."""


class TrialDrawer:
    """Draws the values of one trial after another, and keeps the results that they depend on."""

    def __init__(self, space: Space, *, seed: int, earlier: "list[FrozenTrial]") -> None:
        """Prepare a search.

        Args:
            space: the options to vary.
            seed: seed of the draws.
            earlier: trials that an interrupted search finished, in any order.
        """
        self._space, self._seed = space, seed
        self._earlier = {
            trial.user_attrs[_NUMBER]: trial for trial in earlier if _NUMBER in trial.user_attrs
        }
        self._proposals: list[Proposal] = []
        self.trials: list[FrozenTrial] = []
        """The finished trials in order of their numbers."""

    def draw(self, number: int) -> Proposal:
        """Draw the values of a trial; numbers come in order, results up to ``TOGETHER`` later."""
        import optuna

        before = self.trials[: max(0, number - TOGETHER + 1)]
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self._seed * 100_003 + number),
        )
        study.add_trials(before)
        trial = study.ask()
        values = {name: _drawn(trial, name, choices) for name, choices in self._space.items()}
        has_epochs = "learning_rate" in self._space
        curves = tuple(other.user_attrs[_CURVE] for other in before) if has_epochs else ()
        known = self._earlier.get(number)
        # another version of Optuna may draw other values than the interrupted search did
        curve = known.user_attrs[_CURVE] if known and known.params == values else None
        self._proposals.append(Proposal(number, values, trial.distributions, curves, curve))
        return self._proposals[-1]

    def trial_of(self, number: int, curve: list[float]) -> "FrozenTrial":
        """Return a finished trial as Optuna keeps it.

        Args:
            number: number of the trial.
            curve: scores on val, round by round.
        """
        import optuna

        return optuna.trial.create_trial(
            value=max(curve), params=self._proposals[number].values,
            distributions=self._proposals[number].distributions,
            user_attrs={_CURVE: curve, _NUMBER: number},
        )  # fmt: skip


def _drawn(trial: "Trial", name: str, choices: tuple[Any, ...] | None) -> Any:
    """Draw one value."""
    if choices is not None:
        return trial.suggest_categorical(name, choices)
    low, high = RATES[name]
    return trial.suggest_float(name, low, high, log=True)
