"""`emo adapt`: train backbones and a head on labelled clips, and write weights and a run."""

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback

from emo.adapt.done import others_than, what_is_asked
from emo.adapt.finish import Finished, finish
from emo.adapt.folder import CHECKPOINTS, INPUTS, is_finished, prepare_folder
from emo.adapt.live import fill_inputs, live_of, note_other_ids, write_tokens
from emo.adapt.method.layers import layers_again
from emo.adapt.options import AdaptOptions
from emo.adapt.start import start_of
from emo.adapt.training.arguments import training_arguments
from emo.adapt.training.checkpoints import (
    check_disk,
    check_same,
    checkpoint_bytes,
    newest_complete,
)
from emo.adapt.training.evaluate import evaluate, rounds_of
from emo.adapt.training.losses import SummedLosses
from emo.adapt.training.ranks import set_slurm_ranks
from emo.adapt.training.stop import StopFlag, stop_flag
from emo.adapt.training.trainer import AdaptTrainer, Flow
from emo.adapt.work import AdaptWork, live_streams, read_work, step_clips
from emo.errors import FitError, listed
from emo.extract.executor import EXIT_STOPPED
from emo.extract.job.request import requests_from_words
from emo.machine.progress import progress_bar
from emo.manifest import Manifest
from emo.store.backend.location import Location, location

FROZEN = "frozen-tokens"
"""Folder in ``checkpoints`` with the tokens of the base's weights."""


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
    with stop_flag() as flag:
        arguments = training_arguments(options, out / CHECKPOINTS)
        is_first = arguments.process_index == 0
        lives = live_of(
            requests_from_words(options.backbones, options.backbone_options, manifest=manifest)
        )
        asked = what_is_asked(manifest, features, options, lives)
        if is_finished(out) and not overwrite:
            _check_asked(out, asked)
            return _ended(out, is_first, f"{out}: done before; --overwrite does it again", 0)
        start = start_of(options, live_streams(lives), has_head=has_head)
        inputs_at = inputs or location(str(out / INPUTS))
        if is_first:
            prepare_folder(out, resume=resume, overwrite=overwrite)
            fill_inputs(manifest, lives, inputs_at, options.floats, flag, progress=progress)
        if flag.is_raised_after_all_came(arguments.device):
            return _ended(out, is_first, "stopped by a signal before the first step; --resume "
                          "goes on", EXIT_STOPPED)  # fmt: skip
        models = {
            live.name: live.kind.load(live.options, device=str(arguments.device)) for live in lives
        }
        frozen = out / CHECKPOINTS / FROZEN
        if is_first:
            write_tokens(
                models, {live.name: live.request.recipe for live in lives}, inputs_at, frozen,
                [clip.id for clip in manifest.clips], options.per_device_train_batch_size,
                seen={live.name: live.kind.seen_clips(live.options) for live in lives}, flag=flag,
                progress=progress,
            )  # fmt: skip
            note_other_ids(frozen, lives, manifest)
        if flag.is_raised_after_all_came(arguments.device):
            return _ended(out, is_first, "stopped by a signal before the first step; --resume "
                          "goes on", EXIT_STOPPED)  # fmt: skip
        work = read_work(
            manifest, features, location(str(frozen)), inputs_at, models, lives, start, options,
            arguments,
        )  # fmt: skip
        trained, every = work.counts()
        facts = {
            "world_size": arguments.world_size,
            "global_batch": step_clips(options, arguments.world_size),
            "question": work.question(options),
        }
        checkpoint = _checkpoint(out, facts, resume=resume, is_first=is_first)
        if is_first:
            check_disk(out, checkpoint_bytes(work.module))
            _say(f"{trained:,} of {every:,} parameters are trained")
        trainer, is_stopped = _train(
            work, options, arguments, facts, flag, checkpoint,
            progress=progress if is_first else False,
        )  # fmt: skip
        if is_stopped:
            where = f"stopped by a signal at step {trainer.state.global_step}; --resume goes on"
            return _ended(out, is_first, where, EXIT_STOPPED)
    if not is_first:
        return AdaptReport(out, ())
    trainer.load_best()
    finished = finish(
        manifest, features, out, options, work.start, work.data, work.models,
        {live.name: live for live in lives}, work.module, work.method,
        inputs=inputs_at,
        rounds=rounds_of(
            trainer.state.log_history, options.seed, trainer.state.best_global_step
        ),
        facts={**facts, "trained": trained, "parameters": every, "asked": asked,
               "steps": trainer.state.global_step, "log": trainer.state.log_history},
        started=started, progress=progress,
    )  # fmt: skip
    return AdaptReport(out, finished.lines, 0, finished)


def _train(
    work: AdaptWork,
    options: AdaptOptions,
    arguments: Any,
    facts: Mapping[str, Any],
    flag: StopFlag,
    checkpoint: Path | None,
    *,
    progress: bool | None,
) -> tuple[AdaptTrainer, bool]:
    """Train the module; return the Trainer, and whether a signal stopped it.

    Args:
        work: module and clips.
        options: options of the adaptation.
        arguments: the Trainer's arguments.
        facts: what checkpoints must agree in.
        flag: signals.
        checkpoint: checkpoint to go on with; None: begin.
        progress: whether to show a bar; None: in a terminal.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(layers_again(work.models, is_on=options.gradient_checkpointing))
        bar = stack.enter_context(progress_bar(shown=progress, desc="adapt", unit=" steps"))

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
            SummedLosses(work.train.frozen.targets, work.start.fit.loop), work.data.widths,
            options, facts, [flow],
        )  # fmt: skip
        flow.trainer = trainer
        trainer.remove_callback(PrinterCallback)  # the bar shows the loss
        bar.total = _steps(options, len(work.train), arguments.world_size)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer, flow.is_stopped


def _check_asked(out: Path, asked: Mapping[str, Any]) -> None:
    """Check that a finished adaptation is the one that is asked for.

    Raises:
        FitError: it is another one.
    """
    if others := others_than(out, asked):
        raise FitError(
            f"{out} holds an adaptation with other {listed(others)}; --overwrite replaces it, or "
            "choose another --out"
        )


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


def _steps(options: AdaptOptions, rows: int, world_size: int) -> int:
    """Return the number of steps of the whole training."""
    if options.max_steps > 0:
        return options.max_steps
    return math.ceil(rows // step_clips(options, world_size) * options.num_train_epochs)


def _ended(out: Path, is_first: bool, line: str, exit_code: int) -> AdaptReport:
    """Return the report of an adaptation that wrote nothing; the first process tells of it."""
    return AdaptReport(out, (line,) if is_first else (), exit_code)


def _say(line: str) -> None:
    print(line, flush=True)
