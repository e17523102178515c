"""What a fit can be asked: the options of `emo fit-head` and the part the training loop reads."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emo.errors import OptionError

DECAYS = ("constant", "linear", "cosine")
OF_STEPS = (
    "epochs", "batch_size", "learning_rate", "weight_decay", "patience", "gradient_norm", "warmup",
    "decay", "mixup", "mixup_probability", "accumulate", "bf16",
)  # fmt: skip
"""Fields of :class:`LoopOptions` that gradient steps alone read."""
OF_LOSS = ("label_smoothing", "class_weights", "focal", "target_weights")
"""Those that the loss reads, whoever minimises it."""


@dataclass(frozen=True)
class LoopOptions:
    """How a head is trained."""

    epochs: int = 100
    """At most so many passes over the training clips."""
    batch_size: int = 32
    """Clips a step; dialogues for a dialogue head."""
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
    warmup: float = 0.0
    """Share in [0, 1) of all steps in which the learning rate rises from 0."""
    decay: str = "constant"
    """How it falls after that: ``constant``, ``linear`` or ``cosine``, to 0 at the last epoch."""
    focal: float = 0.0
    """Exponent of the focal loss; 0: cross-entropy."""
    mixup: float = 0.0
    """Alpha of the beta distribution from which shares are drawn; 0: no mixup."""
    mixup_probability: float = 1.0
    """Share of the steps with mixup."""
    spec_augment: tuple[str, ...] = ()
    """Log-mel streams whose time and bands are masked while training."""
    modality_dropout: float = 0.0
    """Probability with which a clip lacks a stream while training; one always stays."""
    accumulate: int = 1
    """Batches whose gradients make one step."""
    bf16: bool = False
    """Run the head in bfloat16 (weights, loss and steps stay float32)."""
    target_weights: Mapping[str, float] = field(default_factory=dict)
    """By target, its factor in the loss; 1 where nothing is said."""


@dataclass(frozen=True)
class FitOptions:
    """What is asked of a fit."""

    head: str = "attention_pool"
    """A file of ``emo/heads/library/``, or ``module:Class``."""
    head_options: Mapping[str, str] = field(default_factory=dict)
    """The head's own options, as text."""
    target: str | tuple[str, ...] = "label"
    """The manifest's column to predict, or several."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """By target: ``classify``, ``multilabel``, ``regress`` or ``pairs``; else told by its cells."""
    preset: str = ""
    """The name of the experiment that options were taken from; see ``emo/heads/presets.py``."""
    streams: tuple[str, ...] = ()
    """``recipe`` or ``recipe/stream``; none: everything in the stores."""
    scaling: Mapping[str, str] = field(default_factory=dict)
    """By stream, ``raw``, ``unit`` or ``unit*FACTOR`` instead of standardised; see scale.py."""
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
    warmup: float = LoopOptions.warmup
    decay: str = LoopOptions.decay
    focal: float = LoopOptions.focal
    mixup: float = LoopOptions.mixup
    mixup_probability: float = LoopOptions.mixup_probability
    spec_augment: tuple[str, ...] = LoopOptions.spec_augment
    modality_dropout: float = LoopOptions.modality_dropout
    accumulate: int = LoopOptions.accumulate
    bf16: bool = LoopOptions.bf16
    target_weights: Mapping[str, float] = field(default_factory=dict)
    init: tuple[str, ...] = ()
    """Runs with whose weights the parts that read one stream each start."""
    search: int = 0
    """Trials over the head's and the loop's declared space, judged on val; 0: none."""
    missing: bool = False
    """Score val and test with streams taken away, too."""
    max_samples: int | None = None
    """At most so many clips of each split, for a quick look."""
    allow_missing: float = 0.05
    """Share in [0, 1] of the labelled clips that may have no features."""
    threads: int | None = None
    """Cores to use: fits at once, or of torch in a single fit of large steps; None: all."""
    interval_over: str = ""
    """What bootstrap intervals are drawn over: ``clip``, ``dialogue`` or a column of the manifest;
    empty: dialogues if there are any, else clips."""
    all_probabilities: bool = False
    """Whether files of predictions hold the probabilities of all classes even where there are more
    than 100 classes."""

    def __post_init__(self) -> None:
        self._expect(
            "at least 1",
            ("seeds", "epochs", "batch_size", "patience", "accumulate"),
            lambda x: x >= 1,
        )
        self._expect("more than 0", ("learning_rate", "gradient_norm"), lambda x: x > 0)
        self._expect(
            "at least 0",
            ("weight_decay", "first_seed", "focal", "mixup", "search"),
            lambda x: x >= 0,
        )
        self._expect(
            "from 0 to below 1",
            ("label_smoothing", "warmup", "modality_dropout"),
            lambda x: 0 <= x < 1,
        )
        self._expect("from 0 to 1", ("allow_missing", "mixup_probability"), lambda x: 0 <= x <= 1)
        for name in ("threads", "max_samples"):
            if getattr(self, name) is not None:
                self._expect("at least 1", (name,), lambda x: x >= 1)
        if self.decay not in DECAYS:
            raise OptionError(f"decay: expected one of {', '.join(DECAYS)}, got {self.decay}")
        unknown = [*(self.tasks.keys() | self.target_weights.keys()) - set(self.targets)]
        if unknown or len(set(self.targets)) < len(self.targets):
            raise OptionError(
                f"targets {', '.join(self.targets)}: expected each once, and tasks and weights of "
                f"these alone; got {', '.join(unknown) or 'one twice'}"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """One or several."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

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
