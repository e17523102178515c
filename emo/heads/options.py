"""Options of a fit: those of `emo fit-head`, and the part of them that the training loop reads."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from emo.errors import OptionError

DECAYS = ("constant", "linear", "cosine")
"""Values of ``LoopOptions.decay``."""
CUTS = ("groups", "clips")
"""Values of ``FitOptions.cut``."""
CHOOSE_BY = ("weighted_f1", "macro_f1", "uar", "accuracy")
"""Values of ``LoopOptions.choose_by``: the scores of classes."""
NUMBER_LOSSES = ("smooth_l1", "mae", "huber", "mse")
"""Values of ``LoopOptions.loss``."""
STEP_OPTIONS = (
    "epochs", "batch_size", "learning_rate", "weight_decay", "patience", "gradient_norm", "warmup",
    "decay", "mixup", "mixup_probability", "accumulate", "bf16",
)  # fmt: skip
"""Fields of :class:`LoopOptions` that only gradient steps read."""
LOSS_OPTIONS = ("label_smoothing", "class_weights", "focal", "target_weights", "loss")
"""Fields of :class:`LoopOptions` that the loss reads, whether steps or a solver minimise it."""


@dataclass(frozen=True)
class LoopOptions:
    """Options of the training loop.

    Raises:
        OptionError: a value is out of its range.
    """

    epochs: int = 100
    """Largest number of passes over the training clips."""
    batch_size: int = 32
    """Clips in each batch; dialogues for a dialogue head."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW after the warmup."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    label_smoothing: float = 0.0
    """Share in [0, 1) of the label that is spread evenly over all classes."""
    class_weights: bool = False
    """Whether the loss is weighted by inverse class frequency (cost .01 to .07 weighted F1 on MELD
    text)."""
    patience: int = 12
    """Number of rounds without a better score on val after which training stops."""
    gradient_norm: float = 1.0
    """Longer gradients are scaled down to this norm."""
    warmup: float = 0.0
    """Share in [0, 1) of all steps in which the learning rate rises from 0."""
    decay: str = "constant"
    """Learning rate after the warmup: ``constant``, or falling to 0 in the last epoch, ``linear``
    or as a ``cosine``."""
    focal: float = 0.0
    """Exponent of the focal loss; 0: cross-entropy."""
    mixup: float = 0.0
    """Alpha of the beta distribution that shares are drawn from; 0: no mixup."""
    mixup_probability: float = 1.0
    """Share in [0, 1] of the steps that have mixup."""
    spec_augment: tuple[str, ...] = ()
    """Log-mel streams of which random spans of time and of bands are masked while training."""
    modality_dropout: float = 0.0
    """Probability in [0, 1) that a stream of a clip is dropped while training; one always stays."""
    accumulate: int = 1
    """Number of batches whose gradients are added for one step."""
    bf16: bool = False
    """Whether the head runs in bfloat16; weights, loss and steps stay float32."""
    target_weights: Mapping[str, float] = field(default_factory=dict)
    """Factor of each target in the loss; 1 for a target that is not named."""
    choose_by: str = ""
    """Score on val by which rounds are chosen, one of ``CHOOSE_BY``; empty: the usual one of the
    target's task."""
    loss: str = "smooth_l1"
    """Loss of targets that are numbers, one of ``NUMBER_LOSSES``."""
    refit: bool = False
    """Whether a solved head is solved again on train and val, with the settings chosen on val."""

    def __post_init__(self) -> None:
        _expect(self, "at least 1", ("epochs", "batch_size", "patience", "accumulate"), _from_one)
        _expect(self, "more than 0", ("learning_rate", "gradient_norm"), lambda x: x > 0)
        _expect(self, "at least 0", ("weight_decay", "focal", "mixup"), lambda x: x >= 0)
        shares = ("label_smoothing", "warmup", "modality_dropout")
        _expect(self, "from 0 to below 1", shares, lambda x: 0 <= x < 1)
        _expect(self, "from 0 to 1", ("mixup_probability",), lambda x: 0 <= x <= 1)
        if self.decay not in DECAYS:
            raise OptionError(f"decay: expected one of {', '.join(DECAYS)}, got {self.decay}")
        if self.choose_by not in ("", *CHOOSE_BY):
            raise OptionError(
                f"choose_by: expected one of {', '.join(CHOOSE_BY)}, got {self.choose_by}"
            )
        if self.loss not in NUMBER_LOSSES:
            raise OptionError(f"loss: expected one of {', '.join(NUMBER_LOSSES)}, got {self.loss}")


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit; those of the training loop are in :attr:`loop`.

    ``FitOptions.of(head="mean_pool", epochs=20)`` builds one from the names of both.

    Raises:
        OptionError: a value is out of its range, or a task or weight is of no target.
    """

    head: str = "attention_pool"
    """Name of the head: a file of ``emo/heads/library/``, or ``module:Class``."""
    head_options: Mapping[str, str] = field(default_factory=dict)
    """The head's own options, as text."""
    target: str | tuple[str, ...] = "label"
    """Column of the manifest to predict, or several."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """Task of each target: ``classify``, ``multilabel``, ``regress`` or ``pairs``. A target that is
    not named has the task that its cells suggest."""
    preset: str = ""
    """Name of the preset that options were taken from, see ``emo/heads/presets.py``; or empty."""
    streams: tuple[str, ...] = ()
    """Streams to read, ``recipe`` or ``recipe/stream``; empty: all streams of the stores."""
    scaling: Mapping[str, str] = field(default_factory=dict)
    """By stream, a scaling other than standardisation, see
    :func:`emo.heads.data.scaling.requested_scaling`; or ``speaker``: scaling by speaker, then
    standardisation."""
    seeds: int = 1
    """Number of heads that are fitted."""
    first_seed: int = 0
    """Seed of the first head; the others have the following ones. It is also the seed of splits
    and of bootstrap intervals."""
    loop: LoopOptions = field(default_factory=LoopOptions)
    """Options of the training loop."""
    init: tuple[str, ...] = ()
    """Folders of runs whose weights the modules that read one stream each start with."""
    search: int = 0
    """Number of trials of a search over options of the head and of the loop; 0: no search."""
    missing: bool = False
    """Whether val and test are also scored without some streams."""
    max_samples: int | None = None
    """Largest number of clips of each split, for a quick look; None: all."""
    allow_missing: float = 0.05
    """Share in [0, 1] of the labelled clips that may have no features."""
    cut: str = "groups"
    """What splits and folds that are made here keep together: ``groups`` of speakers and dialogues;
    or ``clips``: nothing, so that test may share speakers and dialogues with train."""
    threads: int | None = None
    """Number of cores to use, for fits in parallel or for torch in one fit; None: all."""
    interval_over: str = ""
    """What bootstrap intervals are drawn over: ``clip``, ``dialogue`` or a column of the manifest;
    empty: dialogues if there are any, else clips."""
    allow_seen: bool = False
    """Whether features are read whose weights were adapted on clips that are evaluated here."""
    all_probabilities: bool = False
    """Whether files of predictions hold the probabilities of all classes even where there are more
    than 100 classes."""
    top_classes: int | None = None
    """Number of the commonest answers of train to learn; rows with others leave train, and count
    as wrong in val and test, see :mod:`emo.heads.data.top_classes`. None: every class is learnt,
    and val and test may have no others."""
    by_columns: tuple[str, ...] = ()
    """Columns of the manifest by whose values a run also reports rows, share and accuracy."""

    def __post_init__(self) -> None:
        _expect(self, "at least 1", ("seeds",), _from_one)
        _expect(self, "at least 0", ("first_seed", "search"), lambda x: x >= 0)
        _expect(self, "from 0 to 1", ("allow_missing",), lambda x: 0 <= x <= 1)
        if self.cut not in CUTS:
            raise OptionError(f"cut: expected one of {', '.join(CUTS)}, got {self.cut}")
        for name in ("threads", "max_samples"):
            if getattr(self, name) is not None:
                _expect(self, "at least 1", (name,), _from_one)
        if self.top_classes is not None and self.top_classes < 2:
            raise OptionError(f"--top-classes {self.top_classes}: expected at least 2")
        unknown = [*(self.tasks.keys() | self.loop.target_weights.keys()) - set(self.targets)]
        if unknown or len(set(self.targets)) < len(self.targets):
            raise OptionError(
                f"targets {', '.join(self.targets)}: expected each once, and tasks and weights of "
                f"these alone; got {', '.join(unknown) or 'one twice'}"
            )

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Build options from fields of this class and of :class:`LoopOptions` alike.

        >>> FitOptions.of(head="mean_pool", epochs=20).loop.epochs
        20

        Raises:
            OptionError: a value is out of its range.
            TypeError: there is no such field.
        """
        return cls().replace(**fields)

    def replace(self, **fields: Any) -> Self:
        """Return a copy with other values of fields of this class or of :class:`LoopOptions`.

        Raises:
            OptionError: a value is out of its range.
            TypeError: there is no such field.
        """
        of_loop = {name: fields.pop(name) for name in LOOP_FIELDS if name in fields}
        if of_loop:
            loop = dataclasses.replace(fields.get("loop", self.loop), **of_loop)
            fields["loop"] = loop
        return dataclasses.replace(self, **fields)

    def flat(self) -> dict[str, Any]:
        """Return all values by name in one dictionary, those of the loop in the place of ``loop``.

        ``run.json`` and the questions of fits have this form; :meth:`of` reads it. The options of
        ``YOUNG`` are left out where they have their defaults, so that runs from before there were
        these options are equal.
        """
        found: dict[str, Any] = {}
        for name, value in dataclasses.asdict(self).items():
            found |= value if name == "loop" else {name: value}
        for name, usual in YOUNG.items():
            if found[name] == usual:
                del found[name]
        return found

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets, at least one."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Seeds of the heads."""
        return tuple(range(self.first_seed, self.first_seed + self.seeds))


LOOP_FIELDS = tuple(item.name for item in dataclasses.fields(LoopOptions))
"""Names of the fields of :class:`LoopOptions`."""


YOUNG: Mapping[str, Any] = {
    "cut": "groups", "interval_over": "", "all_probabilities": False, "choose_by": "",
    "top_classes": None, "by_columns": (), "allow_seen": False,
    "loss": "smooth_l1", "refit": False,
}  # fmt: skip
"""Options that earlier versions lacked, with their defaults."""


def _from_one(value: float) -> bool:
    return value >= 1


def _expect(
    options: LoopOptions | FitOptions,
    what: str,
    names: Sequence[str],
    is_right: Callable[[float], bool],
) -> None:
    """Raise an OptionError for a field among ``names`` whose value is not right."""
    for name in names:
        value = getattr(options, name)
        if not is_right(value):
            raise OptionError(f"{name}: expected {what}, got {value}")
