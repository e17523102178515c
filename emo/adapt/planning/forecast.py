"""`emo adapt --dry-run`: parameters, steps, disk and memory, from configurations alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from emo import plugins
from emo.adapt.method.method import apply_method, named_networks
from emo.adapt.options import AdaptOptions
from emo.adapt.planning.activations import count_of, kept_bytes
from emo.adapt.planning.published import with_published
from emo.errors import EmoError, OptionError, WeightsError
from emo.extract.backbone import Inputs
from emo.extract.backbones.inputs import STREAM, Floats, InputsOptions, StoredInputs
from emo.extract.job.request import backbones_from_words
from emo.extract.models.inputs_bytes import ROW_BYTES
from emo.extract.models.model import Model
from emo.extract.models.sample import sample_media
from emo.extract.models.skeleton import locate_configs
from emo.heads.head import Head, Width
from emo.machine.table import format_bytes, format_table

ADAM_BYTES, WEIGHT_BYTES = 8, 4
"""Bytes of AdamW's two means of a trained number, and of a number or its gradient."""
_GIB = 2**30


@dataclass(frozen=True)
class Counted:
    """Parameters of one network, or of the head."""

    name: str
    """``RECIPE/STREAM``, ``RECIPE`` or ``head NAME``."""
    trained: int
    """Number of trained parameters."""
    every: int
    """Number of all parameters, LoRA matrices included."""


@dataclass(frozen=True)
class ClipCounts:
    """How many clips there are, and how long they are."""

    train: int
    """Number of training clips."""
    every: int
    """Number of all clips, whose inputs are stored."""
    seconds: float = 3.0
    """Length of a typical clip."""


@dataclass(frozen=True)
class Forecast:
    """What an adaptation will take."""

    networks: tuple[Counted, ...]
    """Networks of the backbones, and last the head if its streams are known."""
    clips: ClipCounts
    """The clips."""
    batch: int
    """ClipCounts that one process computes at once."""
    step_clips: int
    """ClipCounts of one step on all devices."""
    steps: int
    """Number of steps."""
    inputs_bytes: int
    """Bytes of the stored inputs of all clips."""
    checkpoint_bytes: int
    """Bytes of one checkpoint: what is trained, AdamW's two means, and the best epoch if kept."""
    checkpoints: int
    """Number of checkpoints that are there at once."""
    weights_bytes: int
    """Bytes of the written weights, in float32."""
    kept_bytes: int | None
    """Bytes that one forward pass keeps for the backward pass; None: it cannot be told."""
    accumulated: int = 1
    """Batches whose gradients are added for one step."""
    processes: int = 1
    """Number of processes; each of several also has a buffer for gradients."""
    notes: tuple[str, ...] = ()
    """What a reader of the numbers must know."""

    @property
    def trained(self) -> int:
        """Number of trained parameters, the head's included."""
        return sum(each.trained for each in self.networks)

    @property
    def every(self) -> int:
        """Number of all parameters, the head's included."""
        return sum(each.every for each in self.networks)

    @property
    def memory_bytes(self) -> int | None:
        """Bytes of memory of one process; None: it cannot be told.

        The backward pass frees activations as it makes gradients, and gradients are freed after
        the step: only where they are added over several batches are both there at once.
        """
        if self.kept_bytes is None:
            return None
        gradients = WEIGHT_BYTES * self.trained
        if self.accumulated > 1:
            both = gradients + self.kept_bytes
        else:
            both = max(gradients, self.kept_bytes)
        buffers = gradients if self.processes > 1 else 0
        return WEIGHT_BYTES * self.every + ADAM_BYTES * self.trained + buffers + both

    @property
    def disk_bytes(self) -> int:
        """Bytes of disk that the adaptation takes at its largest."""
        return (
            self.inputs_bytes + self.checkpoints * self.checkpoint_bytes + self.weights_bytes
        )  # fmt: skip

    def table(self) -> str:
        """Return the forecast as text for people."""
        together = Counted("together", self.trained, self.every)
        rows = [
            {"parameters of": each.name, "trained": f"{each.trained:,}", "all": f"{each.every:,}"}
            for each in (*self.networks, together)
        ]
        lines = [
            f"steps: {self.steps:,} of {self.step_clips:,} clips, from {self.clips.train:,} "
            "training clips",
            f"disk: {format_bytes(self.disk_bytes)}: inputs {format_bytes(self.inputs_bytes)} "
            f"({self.clips.every:,} clips of {self.clips.seconds:.1f} s), {self.checkpoints} "
            f"checkpoints of {format_bytes(self.checkpoint_bytes)}, weights "
            f"{format_bytes(self.weights_bytes)}",
            self._memory_line(),
        ]
        return "\n".join([format_table(rows), "", *lines, *(f"- {note}" for note in self.notes)])

    def _memory_line(self) -> str:
        weights, adam = WEIGHT_BYTES * self.every, ADAM_BYTES * self.trained
        copies = 2 if self.processes > 1 else 1
        parts = f"weights {_gib(weights)}, AdamW {_gib(adam)}"
        parts += f", gradients {_gib(copies * WEIGHT_BYTES * self.trained)}"
        if self.memory_bytes is None or self.kept_bytes is None:
            return (
                f"memory of a process: {parts}, and what a batch keeps for the backward pass, "
                "which the code of this model does not tell without values"
            )
        return (
            f"memory of a process: {_gib(self.memory_bytes)}: {parts}, activations of "
            f"{self.batch} clips {_gib(self.kept_bytes)}"
            + ("" if self.accumulated > 1 else ", not all at once")
        )


def forecast(
    options: AdaptOptions,
    clips: ClipCounts,
    widths: Mapping[str, Width],
    *,
    frozen: Mapping[str, int] = {},
    world_size: int = 1,
) -> Forecast:
    """Forecast an adaptation from the configurations of its backbones; no weights are read.

    Args:
        options: options of the adaptation.
        clips: how many clips there are.
        widths: number of logits of each target.
        frozen: width D of the streams that are read from stores.
        world_size: number of processes.

    Raises:
        WeightsError: a configuration is neither on this machine nor part of emo.
        OptionError: an option names no backbone, layer or parameter, or one without weights.
    """
    models, notes = _skeletons(options)
    samples = {name: [_sample(model, clips.seconds)] for name, model in models.items()}
    dims = {**_live_dims(models, samples), **frozen}
    apply_method(models, options, samples)
    counted = _counted(models)
    head = _head_of(options, dims, widths)
    if head is None:
        lacking = [name for name in options.fit.streams if not _is_known(name, dims)]
        notes.append(f"the head is not counted: no store with {', '.join(lacking)} (--features)")
    else:
        counted.append(Counted(f"head {options.fit.head}", *_counts_of_head(head, options)))
    trained, every = (sum(getattr(each, of) for each in counted) for of in ("trained", "every"))
    batch = options.per_device_train_batch_size
    step_clips = batch * options.gradient_accumulation_steps * world_size
    stored = sum(_input_bytes(model, options, clips.seconds) for model in models.values())
    kept = kept_bytes(models, options, {name: each * batch for name, each in samples.items()})
    return Forecast(
        tuple(counted), clips, batch, step_clips, _steps(options, clips.train, step_clips),
        inputs_bytes=round(stored * clips.every),
        checkpoint_bytes=(4 if options.load_best_model_at_end else 3) * WEIGHT_BYTES * trained,
        checkpoints=options.save_total_limit + 1, weights_bytes=WEIGHT_BYTES * every,
        kept_bytes=kept, accumulated=options.gradient_accumulation_steps, processes=world_size,
        notes=tuple(notes),
    )  # fmt: skip


def _skeletons(options: AdaptOptions) -> tuple[dict[str, Model], list[str]]:
    """Build the networks without weights; return them by recipe, and notes."""
    models: dict[str, Model] = {}
    notes = []
    every = backbones_from_words(options.backbones, options.backbone_options)
    if not every:
        raise OptionError("--backbone: name the backbones that are trained")
    for name, (kind, own) in every.items():
        if not issubclass(kind, Model):
            raise OptionError(f"--backbone {name}: it has no weights that can be trained")
        found, brought = with_published(kind, own)
        models[name] = kind.skeleton(found)
        if brought:
            notes.append(
                f"{name}: counted from the configuration of {' and '.join(brought)} that comes "
                "with emo; the model itself is not on this machine"
            )
    return models, notes


def _sample(model: Model, seconds: float) -> Inputs:
    """Return the inputs of a clip of random content."""
    prepared = model.prepare(sample_media(type(model).needs(model.options), seconds))
    if not prepared.inputs:
        raise WeightsError(f"no inputs could be made for {type(model).__name__}")
    return prepared.inputs


def _live_dims(
    models: Mapping[str, Model], samples: Mapping[str, Sequence[Inputs]]
) -> dict[str, int]:
    """Return the width D of the tokens of each live stream."""
    found: dict[str, int] = {}
    for name, model in models.items():
        configs = locate_configs(type(model).weights(model.options))
        try:
            specs = type(model).streams(model.options, configs)
            widths = {stream: spec.dim for stream, spec in specs.items()}
        except (EmoError, KeyError):  # some backbones read widths from their tensors
            with model.training(), torch.no_grad():
                (clip,) = model.forward(samples[name])
            widths = {stream: tokens.shape[-1] for stream, tokens in clip.items()}
        found |= {f"{name}/{stream}": width for stream, width in widths.items()}
    return found


def _counted(models: Mapping[str, Model]) -> list[Counted]:
    """Return the parameters of each network; parts of one repository are told apart."""
    found = []
    for recipe, option, network in named_networks(models):
        if isinstance(network, nn.ModuleDict):
            found += [
                Counted(f"{recipe}/{name}", *count_of(part)) for name, part in network.items()
            ]
        else:
            name = recipe if option == "weights" else f"{recipe}.{option}"
            found.append(Counted(name, *count_of(network)))
    return found


def _head_of(
    options: AdaptOptions, dims: Mapping[str, int], widths: Mapping[str, Width]
) -> Head | None:
    """Build the head without memory; None: the width of a stream from a store is not known."""
    if not all(_is_known(name, dims) for name in options.fit.streams):
        return None
    kind = plugins.load(plugins.HEADS, options.fit.head, Head)  # type: ignore[type-abstract]
    own: Any = plugins.parse_options(kind.Options, options.fit.head_options, options.fit.head)
    with torch.device("meta"):
        return kind(dims, widths, options=own)


def _is_known(name: str, dims: Mapping[str, int]) -> bool:
    """Return whether a stream or recipe is among those whose width is known."""
    return any(name in (stream, stream.partition("/")[0]) for stream in dims)


def _counts_of_head(head: Head, options: AdaptOptions) -> tuple[int, int]:
    trained, every = count_of(head)
    return (0 if options.freeze_head else trained), every


def _input_bytes(model: Model, options: AdaptOptions, seconds: float) -> float:
    """Return the bytes of the stored inputs of a typical clip."""
    floats: Floats = "float16" if options.floats == "float16" else "float32"
    own = InputsOptions.around(plugins.lend(type(model)), model.options, floats)
    return ROW_BYTES * StoredInputs.tokens(own, seconds)[STREAM]


def _steps(options: AdaptOptions, clips: int, step_clips: int) -> int:
    """Return the number of steps; the last one of an epoch may have fewer clips."""
    if options.max_steps > 0:
        return options.max_steps
    return math.ceil(math.ceil(clips / step_clips) * options.num_train_epochs - 1e-9)


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
