"""What a fit can be asked: the options of `emo fit-head` and the part the training loop reads."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emo.errors import OptionError


@dataclass(frozen=True)
class LoopOptions:
    """How a head is trained."""

    epochs: int = 100
    """At most so many passes over the training clips."""
    batch_size: int = 32
    """Clips a step."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    """Share in [0, 1) of the truth that is spread over all classes."""
    class_weights: bool = False
    """Weight the loss by inverse class frequency (cost .01 to .07 weighted F1 on MELD text)."""
    patience: int = 12
    """Rounds without a better val score after which training stops."""
    gradient_norm: float = 1.0
    """Longer gradients are clipped to it."""


@dataclass(frozen=True)
class FitOptions:
    """What is asked of a fit."""

    head: str = "attention_pool"
    """A file of ``emo/heads/library/``, or ``module:Class``."""
    head_options: Mapping[str, str] = field(default_factory=dict)
    """The head's own options, as text."""
    target: str = "label"
    """The manifest's column to predict."""
    streams: tuple[str, ...] = ()
    """``recipe`` or ``recipe/stream``; none: everything in the stores."""
    seeds: int = 1
    """How many heads are fitted."""
    first_seed: int = 0
    """They get this seed and the following; it also cuts splits and draws resamples."""
    epochs: int = LoopOptions.epochs
    """This and the following: see :class:`LoopOptions`."""
    batch_size: int = LoopOptions.batch_size
    learning_rate: float = LoopOptions.learning_rate
    weight_decay: float = LoopOptions.weight_decay
    label_smoothing: float = LoopOptions.label_smoothing
    class_weights: bool = LoopOptions.class_weights
    patience: int = LoopOptions.patience
    gradient_norm: float = LoopOptions.gradient_norm
    allow_missing: float = 0.05
    """Share in [0, 1] of the labelled clips that may have no features."""
    threads: int | None = None
    """Of torch; None: as torch finds best."""

    def __post_init__(self) -> None:
        self._expect("at least 1", ("seeds", "epochs", "batch_size", "patience"), lambda x: x >= 1)
        self._expect("more than 0", ("learning_rate", "gradient_norm"), lambda x: x > 0)
        self._expect("at least 0", ("weight_decay", "first_seed"), lambda x: x >= 0)
        self._expect("from 0 to below 1", ("label_smoothing",), lambda x: 0 <= x < 1)
        self._expect("from 0 to 1", ("allow_missing",), lambda x: 0 <= x <= 1)
        if self.threads is not None:
            self._expect("at least 1", ("threads",), lambda x: x >= 1)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """One a head."""
        return tuple(range(self.first_seed, self.first_seed + self.seeds))

    @property
    def loop(self) -> LoopOptions:
        """The part that the training loop reads."""
        return LoopOptions(
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(LoopOptions)}
        )

    def _expect(self, what: str, names: tuple[str, ...], is_right: Callable[[float], bool]) -> None:
        for name in names:
            if not is_right(getattr(self, name)):
                raise OptionError(f"{name}: expected {what}, got {getattr(self, name)}")
