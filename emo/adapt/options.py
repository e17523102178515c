"""Options of `emo adapt`, with the names that Hugging Face's Trainer and peft use."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from emo.errors import OptionError
from emo.heads.options import FitOptions

METHODS = ("lora", "full")
"""Named values of ``AdaptOptions.method``; any other one is a regular expression."""
BIASES = ("none", "all", "lora_only")
"""Values of ``AdaptOptions.lora_bias``, as in peft."""
BEST_BY = ("score", "loss")
"""Values of ``AdaptOptions.metric_for_best_model``."""
SCHEDULES = (
    "linear", "cosine", "constant", "constant_with_warmup", "polynomial", "cosine_with_restarts",
    "inverse_sqrt",
)  # fmt: skip
"""Values of ``AdaptOptions.lr_scheduler_type`` that need no further arguments."""
FIT_FIELDS = (
    "head", "head_options", "target", "tasks", "preset", "streams", "scaling", "allow_missing",
    "allow_seen",
    "cut", "interval_over", "all_probabilities", "label_smoothing", "class_weights", "focal",
    "mixup", "mixup_probability", "modality_dropout", "spec_augment", "target_weights",
)  # fmt: skip
"""Names of options that mean what they mean for `emo fit-head`."""
SHORT_NAMES = {
    "epochs": "num_train_epochs", "batch_size": "per_device_train_batch_size",
    "accumulate": "gradient_accumulation_steps", "warmup": "warmup_ratio",
    "decay": "lr_scheduler_type", "max_samples": "max_train_samples",
    "gradient_norm": "max_grad_norm", "first_seed": "seed",
}  # fmt: skip
"""Names of `emo fit-head` -> the fields here that are the same."""


@dataclass(frozen=True)
class AdaptOptions:
    """Options of an adaptation; ``AdaptOptions.of(...)`` builds them from flat names.

    Raises:
        OptionError: a value is out of its range.
    """

    backbones: tuple[str, ...] = ()
    """Backbones to train, as `emo extract --backbone` names them: ``languagebind``, ``hf:wavlm``.
    """
    backbone_options: tuple[str, ...] = ()
    """Options of the backbones, words ``name=value`` or ``recipe.name=value``."""
    fit: FitOptions = field(default_factory=lambda: FitOptions(head="mean_pool"))
    """Options that are those of a fit of a head: head, targets, frozen streams, scaling, losses."""
    method: str = "lora"
    """``lora``, ``full``, or a regular expression of the parameters that are trained."""
    lora_r: int = 8
    """Rank of the LoRA matrices."""
    lora_alpha: float = 8
    """LoRA updates are multiplied by ``lora_alpha / lora_r``."""
    lora_dropout: float = 0.0
    """Dropout before the LoRA matrices."""
    lora_bias: str = "none"
    """Biases that are trained with LoRA: ``none``, ``all`` or ``lora_only``."""
    target_modules: tuple[str, ...] = ()
    """Layers that get LoRA matrices: ends of their names, or one regular expression, or
    ``all-linear``."""
    per_device_train_batch_size: int = 8
    """Clips that one process computes at once."""
    gradient_accumulation_steps: int = 1
    """Number of batches whose gradients are added for one step."""
    num_train_epochs: float = 3.0
    """Number of passes over the training clips."""
    max_steps: int = -1
    """Number of steps in place of ``num_train_epochs``; -1: none."""
    learning_rate: float = 5e-5
    """Learning rate of AdamW after the warmup."""
    head_learning_rate: float | None = None
    """Learning rate of the head; None: the same."""
    lr_scheduler_type: str = "linear"
    """Course of the learning rate after the warmup, see ``SCHEDULES``."""
    warmup_ratio: float = 0.0
    """Share in [0, 1) of all steps in which the learning rate rises from 0."""
    warmup_steps: int = 0
    """Number of steps in which the learning rate rises, in place of ``warmup_ratio``."""
    weight_decay: float = 0.0
    """Weight decay of AdamW; biases and norms have none."""
    max_grad_norm: float = 1.0
    """Longer gradients are scaled down to this norm; 0: they are not."""
    bf16: bool = False
    """Whether forward passes run in bfloat16; weights and steps stay float32."""
    fp16: bool = False
    """Whether forward passes run in float16; needs CUDA or MPS."""
    gradient_checkpointing: bool = False
    """Whether layers are computed again in the backward pass, to save memory."""
    train_batch_norm: bool = False
    """Whether BatchNorm's statistics are trained; else they stay as they are in the weights."""
    max_train_samples: int | None = None
    """Largest number of clips of each split, for a quick look; None: all."""
    freeze_head: bool = False
    """Whether the head stays as it was at the start."""
    init: str = ""
    """Folder of a run whose head and scaling are the start; empty: a random head."""
    logging_steps: int = 10
    """Number of steps between two losses in the log."""
    save_steps: int | None = None
    """Number of steps between two checkpoints; None: one at the end of each epoch."""
    save_total_limit: int = 1
    """Number of checkpoints that are kept."""
    load_best_model_at_end: bool = False
    """Whether the epoch that is best on val is kept; False: the last one."""
    metric_for_best_model: str = "score"
    """What is best on val: ``score`` (mean of the headline scores of all targets) or ``loss``."""
    report_to: tuple[str, ...] = ()
    """Services that the Trainer reports to, such as ``wandb``; empty: none."""
    seed: int = 0
    """Seed of the head's weights, of the order of clips, and of dropout."""
    floats: str = "float32"
    """Type of the stored pictures and spectrograms that are read in training."""
    trainer: Mapping[str, str] = field(default_factory=dict)
    """Further arguments of transformers' ``TrainingArguments``, as text."""

    def __post_init__(self) -> None:
        counts = (
            "per_device_train_batch_size", "gradient_accumulation_steps", "lora_r", "logging_steps",
            "save_total_limit",
        )  # fmt: skip
        _expect(self, "at least 1", counts, lambda value: value >= 1)
        for name in ("max_train_samples", "save_steps"):
            if getattr(self, name) is not None:
                _expect(self, "at least 1", (name,), lambda value: value >= 1)
        _expect(self, "more than 0", ("num_train_epochs", "lora_alpha"), lambda x: 0 < x < 1e9)
        rates = ("learning_rate", "weight_decay", "max_grad_norm", "warmup_steps", "seed")
        _expect(self, "at least 0", rates, lambda value: 0 <= value < 2**63)
        if self.head_learning_rate is not None:
            _expect(self, "at least 0", ("head_learning_rate",), lambda value: value >= 0)
        _expect(self, "from 0 to below 1", ("lora_dropout", "warmup_ratio"), lambda x: 0 <= x < 1)
        self._expect_one_of("metric_for_best_model", BEST_BY)
        self._expect_one_of("lora_bias", BIASES)
        self._expect_one_of("lr_scheduler_type", SCHEDULES)
        self._expect_one_of("floats", ("float32", "float16"))
        if self.bf16 and self.fp16:
            raise OptionError("bf16 and fp16: expected one of them")
        if self.method not in METHODS:
            try:
                re.compile(self.method)
            except re.error as error:
                raise OptionError(
                    f"method {self.method}: expected lora, full or a regular expression of "
                    f"parameters: {error}"
                ) from error

    def _expect_one_of(self, name: str, known: Sequence[str]) -> None:
        if getattr(self, name) not in known:
            raise OptionError(f"{name}: expected one of {', '.join(known)}, got "
                              f"{getattr(self, name)}")  # fmt: skip

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Build options from fields of this class, of :class:`FitOptions` and its loop alike.

        >>> options = AdaptOptions.of(head="linear", target="emotion", epochs=2, lora_r=16)
        >>> options.fit.target, options.num_train_epochs, options.lora_r
        ('emotion', 2, 16)

        Raises:
            OptionError: a value is out of its range, or there is no such field.
        """
        return cls().replace(**fields)

    def replace(self, **fields: Any) -> Self:
        """Return a copy with other values of fields, by the names that :meth:`of` takes."""
        named = {SHORT_NAMES.get(name, name): value for name, value in fields.items()}
        own = {each.name for each in dataclasses.fields(self)}
        of_fit = {name: named.pop(name) for name in list(named) if name not in own}
        if unknown := [name for name in of_fit if name not in FIT_FIELDS]:
            raise OptionError(f"emo adapt has no option {', '.join(unknown)}")
        found = dataclasses.replace(self, **named)
        fit = found.fit.replace(
            **of_fit, first_seed=found.seed, max_samples=found.max_train_samples
        )
        return dataclasses.replace(found, fit=fit)

    def flat(self) -> dict[str, Any]:
        """Return all values by the names that :meth:`of` takes, for ``adapt.json``."""
        found = dataclasses.asdict(self)
        fit = self.fit.flat()
        del found["fit"]
        return found | {name: fit[name] for name in FIT_FIELDS if name in fit}


def _expect(
    options: AdaptOptions, what: str, names: Sequence[str], is_right: Callable[[float], bool]
) -> None:
    """Raise an OptionError for a field among ``names`` whose value is not right."""
    for name in names:
        value = getattr(options, name)
        if not is_right(value):
            raise OptionError(f"{name}: expected {what}, got {value}")
