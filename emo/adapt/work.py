"""All that training needs: the loaded backbones, the clips, and the module of both with a head."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from emo.adapt.done import NOT_ASKED
from emo.adapt.live import Live, readers_of, sample_inputs
from emo.adapt.method.method import Method, apply_method, trained_count
from emo.adapt.module import AdaptModule
from emo.adapt.options import AdaptOptions
from emo.adapt.start import Start
from emo.adapt.training.clips import TrainClips
from emo.errors import FitError
from emo.extract.models.model import Model
from emo.heads.data.data import Data, read_data
from emo.heads.data.seen_clips import noting_seen
from emo.heads.fitting.request import check_request
from emo.heads.head import Batch
from emo.manifest import Manifest
from emo.store.backend.location import Location
from emo.store.store import Store


@dataclass(frozen=True, eq=False)
class AdaptWork:
    """What training needs, read by each process."""

    models: dict[str, Model]
    """Backbones by recipe, with the LoRA layers in."""
    start: Start
    """The head at the start; its fit names all streams."""
    data: Data
    """The clips, with the tokens of the base's weights."""
    module: AdaptModule
    """Backbones and head."""
    method: Method
    """What is trained."""
    train: TrainClips
    """Clips of train, padded to whole steps."""
    val: TrainClips
    """Clips of val."""
    sources: str
    """Hash of the rows and files that the stored inputs of the training clips were made from."""

    def counts(self) -> tuple[int, int]:
        """Return the numbers of trained and of all parameters, the head's included."""
        trained, every = trained_count(self.models)
        head = list(self.module.head.parameters())
        return (
            trained + sum(each.numel() for each in head if each.requires_grad),
            every + sum(each.numel() for each in head),
        )

    def question(self, options: AdaptOptions) -> str:
        """Return the hash of all that decides the bits of a training."""
        flat = {name: value for name, value in options.flat().items() if name not in NOT_ASKED}
        train = self.data.splits["train"]
        question = {
            "options": flat,
            "fit": self.start.fit.flat(),
            "recipes": {source.name: source.recipe.fingerprint for source in self.data.sources},
            "clips": train.ids,
            "sources": self.sources,
            "labels": {name: each.tolist() for name, each in train.batch.targets.items()},
        }
        text = json.dumps(question, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_work(
    manifest: Manifest,
    features: Sequence[Location],
    frozen: Location,
    inputs: Location,
    models: dict[str, Model],
    lives: Sequence[Live],
    start: Start,
    options: AdaptOptions,
    arguments: Any,
) -> AdaptWork:
    """Read the clips, choose what is trained, and build the module.

    Args:
        manifest: the clips.
        features: stores of frozen streams.
        frozen: store of the tokens of the base's weights.
        inputs: store of what the backbones read.
        models: the loaded backbones by recipe; they are changed.
        lives: their options and recipes.
        start: the head at the start.
        options: options of the adaptation.
        arguments: the Trainer's arguments.

    Raises:
        FitError: clips or options from which nothing can be trained.
    """
    check_names(features, lives)
    fit = start.fit.replace(streams=streams_of(start, lives, features))
    start = dataclasses.replace(start, fit=fit)
    data = read_data(manifest, [frozen, *features], fit, scalings=start.scalings)
    data = noting_seen(data, allow_seen=fit.allow_seen)
    check_request(start.kind, data, fit)
    start.check(data)
    readers = readers_of(models, inputs)
    names = live_streams(lives)
    train, val = (
        TrainClips(
            data.splits[split].ids, readers, _without(data.splits[split].batch, names), multiple
        )
        for split, multiple in (("train", step_clips(options, arguments.world_size)), ("val", 1))
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)  # LoRA matrices are random
        method = apply_method(models, options, sample_inputs(models, readers, train.ids))
    head = start.build(data, options.seed).requires_grad_(not options.freeze_head)
    module = AdaptModule(
        models, {name: data.scalings[name] for name in data.dims if name in names}, head,
        data.widths, loop=fit.loop, seed=options.seed, train_batch_norm=options.train_batch_norm,
    ).to(arguments.device)  # fmt: skip
    known = [reader.sources(train.ids) for reader in readers.values()]
    sources = hashlib.sha256(repr(known).encode()).hexdigest()
    return AdaptWork(models, start, data, module, method, train, val, sources)


def streams_of(
    start: Start, lives: Sequence[Live], features: Sequence[Location]
) -> tuple[str, ...]:
    """Return the streams of the fit: the live ones, and the chosen ones of the stores."""
    names = {live.name for live in lives}
    chosen = [name for name in start.fit.streams if name.partition("/")[0] not in names]
    if not chosen and features:
        chosen = [recipe for path in features for recipe in Store(path).recipes]
    return (*(live.name for live in lives), *chosen)


def live_streams(lives: Sequence[Live]) -> tuple[str, ...]:
    """Return the names of the streams of all trained backbones, ``RECIPE/STREAM``."""
    return tuple(name for live in lives for name in live.streams())


def check_names(features: Sequence[Location], lives: Sequence[Live]) -> None:
    """Check that no store has a recipe of a live backbone's name.

    Raises:
        FitError: one has, so that it would not be clear which tokens are meant.
    """
    for path in features:
        for live in lives:
            if live.name in Store(path).recipes:
                raise FitError(
                    f"{path} has a recipe {live.name}, which is also the name of a trained "
                    f"backbone; name that one otherwise: --backbone {live.request.plugin}:NAME"
                )


def step_clips(options: AdaptOptions, world_size: int) -> int:
    """Return the number of clips of one step on all processes."""
    return options.per_device_train_batch_size * options.gradient_accumulation_steps * world_size


def _without(batch: Batch, names: Sequence[str]) -> Batch:
    """Return the batch without some streams, dialogues and pairs."""
    streams = {name: tokens for name, tokens in batch.streams.items() if name not in names}
    return Batch(streams, targets=batch.targets)
