"""`emo adapt`: train backbones and a head on labelled clips, and write weights and a run."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback

from emo.adapt.arguments import training_arguments
from emo.adapt.checkpoints import check_disk, check_same, newest_complete
from emo.adapt.clips import TrainClips
from emo.adapt.evaluate import evaluate
from emo.adapt.finish import Finished, finish
from emo.adapt.folder import CHECKPOINTS, INPUTS, prepare_folder
from emo.adapt.layers import layers_again
from emo.adapt.live import (
    Live,
    fill_inputs,
    live_of,
    readers_of,
    sample_inputs,
    write_tokens,
)
from emo.adapt.losses import SummedLosses
from emo.adapt.method import Method, apply_method, trained_count
from emo.adapt.module import AdaptModule
from emo.adapt.options import AdaptOptions
from emo.adapt.start import Start, start_of
from emo.adapt.stop import stop_flag
from emo.adapt.trainer import AdaptTrainer, Flow
from emo.errors import FitError
from emo.extract.executor import EXIT_STOPPED
from emo.extract.job.request import requests_from_words
from emo.extract.models.model import Model
from emo.heads.data.data import Data, read_data
from emo.heads.data.seen_clips import noting_seen
from emo.heads.fitting.request import check_request
from emo.heads.head import Batch
from emo.heads.training.outcome import Round
from emo.machine.progress import progress_bar
from emo.manifest import Manifest
from emo.store.backend.location import Location, location
from emo.store.store import Store

FROZEN = "frozen-tokens"
"""Folder in ``checkpoints`` with the tokens of the base's weights."""
_NOT_ASKED = {"report_to", "logging_steps", "save_steps", "save_total_limit", "trainer"}
"""Options that a resumed adaptation may change."""


@dataclass(frozen=True)
class AdaptReport:
    """How an adaptation ended."""

    out: Path
    """Folder of the adaptation."""
    lines: tuple[str, ...]
    """What is printed at the end; empty on processes other than the first."""
    exit_code: int = 0
    """0, or 75: stopped by a signal, go on with ``--resume``."""
    finished: Finished | None = None
    """What was written; None: it was stopped, or another process wrote it."""


@dataclass(frozen=True, eq=False)
class _Work:
    """All that training needs, read on each process."""

    lives: tuple[Live, ...]
    models: dict[str, Model]
    start: Start
    data: Data
    inputs: Location
    module: AdaptModule
    method: Method
    train: TrainClips
    val: TrainClips


def adapt(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path,
    options: AdaptOptions,
    *,
    inputs: Location | None = None,
    resume: bool = False,
    overwrite: bool = False,
    has_head: bool = True,
    progress: bool | None = None,
) -> AdaptReport:
    """Train backbones with a head, and write the new weights and a run.

    Several processes, which torchrun or srun starts, call this alike.

    Args:
        manifest: the clips.
        features: stores of frozen streams.
        out: folder of the adaptation.
        options: options of the adaptation.
        inputs: store of what the backbones read, filled where it lacks clips; None: in ``out``.
        resume: go on with the newest complete checkpoint in ``out``.
        overwrite: replace an adaptation in ``out``.
        has_head: whether the head was chosen, not the default; see ``options.init``.
        progress: whether to show bars on stderr; None: in a terminal.

    Raises:
        EmoError: options, manifest, stores or weights from which nothing can be trained.
    """
    started = time.monotonic()
    set_slurm_ranks()
    with stop_flag() as flag, contextlib.ExitStack() as stack:
        arguments = training_arguments(options, out / CHECKPOINTS)
        is_first = arguments.process_index == 0
        lives = live_of(
            requests_from_words(options.backbones, options.backbone_options, manifest=manifest)
        )
        start = start_of(options, _streams(lives), has_head=has_head)
        inputs_at = inputs or location(str(out / INPUTS))
        if is_first:
            prepare_folder(out, resume=resume, overwrite=overwrite)
            fill_inputs(manifest, lives, inputs_at, options.floats, progress=progress)
        barrier()
        work = _read(manifest, features, out, options, lives, start, inputs_at, arguments,
                     progress=progress)  # fmt: skip
        facts = {
            "world_size": arguments.world_size,
            "global_batch": _global_batch(options, arguments.world_size),
            "question": _question(options, work),
        }
        checkpoint = _checkpoint(out, facts, resume=resume, is_first=is_first)
        trained, every = _counts(work)
        if is_first:
            check_disk(out, checkpoint_bytes(work.module))
            _say(f"{trained:,} of {every:,} parameters are trained")
        stack.enter_context(layers_again(work.models, is_on=options.gradient_checkpointing))
        bar = stack.enter_context(
            progress_bar(shown=progress if is_first else False, desc="adapt", unit=" steps")
        )

        def on_step(epoch: float, loss: float) -> None:
            bar.set_postfix_str(f"epoch {epoch:.1f}, loss {loss:.3f}")
            bar.update()

        def on_epoch(_: int) -> dict[str, float]:
            with trainer.accelerator.autocast():
                loss, score = evaluate(work.module, work.val, options.per_device_train_batch_size)
            return {"val_loss": loss, "val_score": score}

        flow = Flow(flag, options.save_steps, on_step, on_epoch)
        trainer = AdaptTrainer(
            work.module, arguments, work.train,
            SummedLosses(work.train.frozen.targets, start.fit.loop), work.data.widths, options,
            facts, [flow],
        )  # fmt: skip
        flow.trainer = trainer
        trainer.remove_callback(PrinterCallback)  # the bar shows the loss
        bar.total = _steps(options, work.train, arguments.world_size)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if flow.is_stopped:
            where = f"stopped by a signal at step {trainer.state.global_step}; --resume goes on"
            return AdaptReport(out, (where,) if is_first else (), EXIT_STOPPED)
    if not is_first:
        return AdaptReport(out, ())
    finished = finish(
        manifest, features, out, options, work.start, work.data, work.models,
        {live.name: live for live in lives}, work.module, work.method,
        inputs=inputs_at, rounds=rounds_of(trainer.state.log_history, options.seed),
        facts={**facts, "trained": trained, "parameters": every,
               "steps": trainer.state.global_step, "log": trainer.state.log_history},
        started=started, progress=progress,
    )  # fmt: skip
    return AdaptReport(out, finished.lines, 0, finished)


def _read(
    manifest: Manifest,
    features: Sequence[Location],
    out: Path,
    options: AdaptOptions,
    lives: Sequence[Live],
    start: Start,
    inputs_at: Location,
    arguments: Any,
    *,
    progress: bool | None,
) -> _Work:
    """Load the backbones, read the clips and build the module."""
    models = {
        live.name: live.kind.load(live.options, device=str(arguments.device)) for live in lives
    }
    frozen = out / CHECKPOINTS / FROZEN
    if arguments.process_index == 0:
        seen = {live.name: live.kind.seen_clips(live.options) for live in lives}
        ids = [clip.id for clip in manifest.clips]
        write_tokens(
            models, {live.name: live.request.recipe for live in lives}, inputs_at, frozen, ids,
            options.per_device_train_batch_size, seen=seen, progress=progress,
        )  # fmt: skip
    barrier()
    check_names(features, lives)
    fit = start.fit.replace(streams=streams_of(start, lives, features))
    start = dataclasses.replace(start, fit=fit)
    data = read_data(manifest, [location(str(frozen)), *features], fit, scalings=start.scalings)
    data = noting_seen(data, allow_seen=fit.allow_seen)
    check_request(start.kind, data, fit)
    start.check(data)
    readers = readers_of(models, inputs_at)
    names = _streams(lives)
    train, val = (
        TrainClips(
            data.splits[split].ids, readers, _without(data.splits[split].batch, names), multiple
        )
        for split, multiple in (
            ("train", _global_batch(options, arguments.world_size)), ("val", 1),
        )
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)  # LoRA matrices are random
        method = apply_method(models, options, sample_inputs(models, readers, train.ids))
    head = start.build(data, options.seed).requires_grad_(not options.freeze_head)
    module = AdaptModule(
        models, {name: data.scalings[name] for name in data.dims if name in names}, head,
        data.widths, loop=fit.loop, seed=options.seed, train_batch_norm=options.train_batch_norm,
    ).to(arguments.device)  # fmt: skip
    return _Work(tuple(lives), models, start, data, inputs_at, module, method, train, val)


def streams_of(
    start: Start, lives: Sequence[Live], features: Sequence[Location]
) -> tuple[str, ...]:
    """Return the streams of the fit: the live ones, and the chosen ones of the stores."""
    names = {live.name for live in lives}
    chosen = [name for name in start.fit.streams if name.partition("/")[0] not in names]
    if not chosen and features:
        chosen = [recipe for path in features for recipe in Store(path).recipes]
    return (*(live.name for live in lives), *chosen)


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


def rounds_of(log: Sequence[Mapping[str, Any]], seed: int) -> tuple[Round, ...]:
    """Return the epochs of a training as rounds; the last one's weights are kept."""
    found: list[Round] = []
    losses: list[float] = []
    for entry in log:
        if "loss" in entry:
            losses.append(float(entry["loss"]))
        if "val_score" in entry:
            mean = sum(losses) / len(losses) if losses else float("nan")
            found.append(
                Round(seed, len(found) + 1, mean, entry["val_loss"], entry["val_score"], False)
            )
            losses = []
    return (*found[:-1], *(dataclasses.replace(each, is_best=True) for each in found[-1:]))


def checkpoint_bytes(module: torch.nn.Module) -> int:
    """Return about how many bytes a checkpoint takes: what is trained, and AdamW's two means."""
    trained: int = sum(tensor.nbytes for tensor in module.state_dict().values())
    return 3 * trained


def barrier() -> None:
    """Wait for the other processes, if there are any."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def _checkpoint(
    out: Path, facts: Mapping[str, Any], *, resume: bool, is_first: bool
) -> Path | None:
    """Return the checkpoint to go on with; None: begin."""
    if not resume:
        return None
    found, lines = newest_complete(out / CHECKPOINTS)
    if is_first:
        for line in lines:
            _say(line)
        _say(f"going on with {found.name}" if found else "no complete checkpoint: beginning anew")
    if found:
        check_same(found, facts)
    return found


def _question(options: AdaptOptions, work: _Work) -> str:
    """Return the hash of all that decides the bits of a training."""
    flat = {name: value for name, value in options.flat().items() if name not in _NOT_ASKED}
    train = work.data.splits["train"]
    question = {
        "options": flat,
        "fit": work.start.fit.flat(),
        "recipes": {source.name: source.recipe.fingerprint for source in work.data.sources},
        "clips": train.ids,
        "labels": {name: each.tolist() for name, each in train.batch.targets.items()},
    }
    text = json.dumps(question, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _counts(work: _Work) -> tuple[int, int]:
    """Return the numbers of trained parameters and of all parameters, the head's included."""
    trained, every = trained_count(work.models)
    head = list(work.module.head.parameters())
    return (
        trained + sum(each.numel() for each in head if each.requires_grad),
        every + sum(each.numel() for each in head),
    )


def _steps(options: AdaptOptions, train: TrainClips, world_size: int) -> int:
    if options.max_steps > 0:
        return options.max_steps
    each = len(train) // _global_batch(options, world_size)
    return math.ceil(each * options.num_train_epochs)


def _global_batch(options: AdaptOptions, world_size: int) -> int:
    return options.per_device_train_batch_size * options.gradient_accumulation_steps * world_size


def _streams(lives: Sequence[Live]) -> tuple[str, ...]:
    return tuple(name for live in lives for name in live.streams())


def _without(batch: Batch, names: Sequence[str]) -> Batch:
    """Return the batch without some streams, dialogues and pairs."""
    streams = {name: tokens for name, tokens in batch.streams.items() if name not in names}
    return Batch(streams, targets=batch.targets)


def _say(line: str) -> None:
    print(line, flush=True)


def set_slurm_ranks() -> None:
    """Set the variables of torch's processes from those of Slurm, one task a GPU."""
    tasks = int(os.environ.get("SLURM_NTASKS", "1") or 1)
    if tasks < 2 or "RANK" in os.environ or "SLURM_PROCID" not in os.environ:
        return
    job = int(os.environ.get("SLURM_JOB_ID", "0") or 0)
    os.environ["RANK"] = os.environ["SLURM_PROCID"]
    os.environ["WORLD_SIZE"] = str(tasks)
    os.environ["LOCAL_RANK"] = os.environ.get("SLURM_LOCALID", "0")
    os.environ.setdefault("MASTER_ADDR", os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "127.0.0.1"))
    os.environ.setdefault("MASTER_PORT", str(20000 + job % 20000))
