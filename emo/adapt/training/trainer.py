"""Hugging Face's Trainer for an `AdaptModule`: exact means, optimizer groups, whole checkpoints."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from emo.adapt.module import AdaptModule
from emo.adapt.options import AdaptOptions
from emo.adapt.training.checkpoints import (
    mark_complete,
    read_best,
    remove_other_bests,
    remove_others,
    write_best,
)
from emo.adapt.training.clips import ClipBatch, EpochOrder, TrainClips
from emo.adapt.training.losses import SummedLosses
from emo.adapt.training.stop import StopFlag
from emo.errors import FitError, listed


def _is_summed(*_: object) -> Tensor:
    """Tell the Trainer by its presence that losses are divided by ``num_items_in_batch``."""
    raise AssertionError("compute_loss is overridden")


class AdaptTrainer(Trainer):
    """The Trainer, with losses that are exact means over a step on all processes."""

    def __init__(
        self,
        module: AdaptModule,
        arguments: TrainingArguments,
        clips: TrainClips,
        losses: SummedLosses,
        widths: Mapping[str, int],
        options: AdaptOptions,
        facts: Mapping[str, Any],
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        """Prepare training.

        Args:
            module: backbones and head.
            arguments: arguments of the Trainer.
            clips: the training clips.
            losses: the losses of the targets.
            widths: number of logits of each target.
            options: options of the adaptation.
            facts: what a checkpoint must agree in to be resumed.
            callbacks: further callbacks.
        """
        self._losses, self._widths, self._options = losses, dict(widths), options
        self._facts = dict(facts)
        super().__init__(
            model=module, args=arguments, train_dataset=clips, data_collator=clips.collate,
            compute_loss_func=_is_summed, callbacks=list(callbacks),
        )  # fmt: skip

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        clips: Any = train_dataset or self.train_dataset
        self.order = EpochOrder(len(clips.ids), len(clips), self.args.seed)
        return self.order

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, Any]], device: torch.device
    ) -> Tensor:
        """Return what the losses of a step are divided by, float32 (targets,), on all processes."""
        total = torch.zeros(len(self._losses.targets))
        for batch in batch_samples:
            total += self._losses.counts(batch["clips"].frozen.targets, self._widths)
        summed: Tensor = self.accelerator.reduce(total.to(device), "sum")
        return summed

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """Return a batch's part of the loss of its step.

        Raises:
            FitError: the loss is not finite; the message names the clips.
        """
        clips: ClipBatch = inputs["clips"]
        assert num_items_in_batch is not None
        logits, others, share = model(clips, (self.state.global_step, *clips.step))
        device = num_items_in_batch.device
        labels = {name: each.to(device) for name, each in clips.frozen.targets.items()}
        sums = self._losses.sums(logits, labels)
        if others is not None:
            theirs = {name: each.to(device) for name, each in others.items()}
            sums = share * sums + (1 - share) * self._losses.sums(logits, theirs)
        loss = self._losses.total(sums, num_items_in_batch)
        if not bool(loss.isfinite()):
            raise FitError(
                f"step {self.state.global_step + 1}: the loss is {loss.item()} on the clips "
                f"{listed(list(clips.ids))}. Try a smaller --learning-rate, or look at these clips"
            )
        loss = loss * self.accelerator.num_processes  # DDP takes the mean over processes
        return (loss, logits) if return_outputs else loss

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create AdamW with a learning rate of the head's own, if one was given."""
        if self.optimizer is not None:
            return self.optimizer
        kept: Any = self.model
        decayed = set(self.get_decay_parameter_names(kept))
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in kept.named_parameters():
            if parameter.requires_grad:
                key = (name.startswith("head."), name in decayed)
                groups.setdefault(key, []).append(parameter)
        kind, words = self.get_optimizer_cls_and_kwargs(self.args, kept)
        rate = self._options.head_learning_rate
        rates = {True: self.args.learning_rate if rate is None else rate,
                 False: self.args.learning_rate}  # fmt: skip
        self.optimizer = kind(
            [
                {
                    "params": parameters, "lr": rates[is_head],
                    "weight_decay": self.args.weight_decay if is_decayed else 0.0,
                }
                for (is_head, is_decayed), parameters in groups.items()
            ],
            **words,
        )  # fmt: skip
        return self.optimizer

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # each process writes its random state
        if self.args.should_save:
            folder = Path(str(self.args.output_dir))
            mark_complete(folder / f"checkpoint-{self.state.global_step}", self._facts)
            remove_others(folder, self._options.save_total_limit)
            remove_other_bests(folder, self.state.best_global_step)
        self.accelerator.wait_for_everyone()

    def note_scores(self, scores: Mapping[str, float]) -> None:
        """Log the scores of an epoch on val, and keep its weights if it is the best so far.

        Args:
            scores: ``val_loss`` and ``val_score``.
        """
        self.log(dict(scores))
        options = self._options
        if options.load_best_model_at_end and is_better(
            scores, options.metric_for_best_model, self.state.best_metric
        ):
            self.state.best_metric = scores[f"val_{options.metric_for_best_model}"]
            self.state.best_global_step = self.state.global_step
            if self.args.should_save:
                folder, module = Path(str(self.args.output_dir)), self.accelerator.unwrap_model(
                    self.model
                )  # fmt: skip
                write_best(folder, self.state.global_step, module.state_dict())

    def load_best(self) -> None:
        """Load the weights of the best epoch, if they were kept."""
        step = self.state.best_global_step
        if self._options.load_best_model_at_end and step:
            module: Any = self.accelerator.unwrap_model(self.model)
            module.load_state_dict(read_best(Path(str(self.args.output_dir)), step))


def is_better(scores: Mapping[str, float], metric: str, best: float | None) -> bool:
    """Return whether an epoch is better on val than the best one before; NaN is not.

    Args:
        scores: ``val_loss`` and ``val_score`` of the epoch.
        metric: ``loss`` or ``score``.
        best: the best value so far; None: there is none.
    """
    value = scores[f"val_{metric}"]
    if best is None:
        return value == value
    return value < best if metric == "loss" else value > best


class Flow(TrainerCallback):
    """Decides when checkpoints are written, evaluates each epoch, and stops after a signal."""

    def __init__(
        self,
        flag: StopFlag,
        save_steps: int | None,
        on_step: Callable[[float, float], None],
        on_epoch: Callable[[int], Mapping[str, float]],
    ) -> None:
        """Keep the functions.

        Args:
            flag: whether a process was asked to stop.
            save_steps: steps between checkpoints; None: one in each epoch.
            on_step: called with the epoch and the last loss after each step.
            on_epoch: returns scores on val after each epoch, for the log.
        """
        self.flag, self.is_stopped = flag, False
        self._save_steps, self._on_step, self._on_epoch = save_steps, on_step, on_epoch
        self.trainer: AdaptTrainer | None = None
        self._loss = float("nan")

    def on_log(self, args: Any, state: Any, control: Any, **words: Any) -> None:
        """Keep the last loss."""
        self._loss = (words.get("logs") or {}).get("loss", self._loss)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **words: Any) -> None:
        """Set the order of the epoch.

        accelerate does not reach the order of clips where several processes resume within an
        epoch: it would be that of the first epoch.
        """
        assert self.trainer is not None
        self.trainer.order.set_epoch(int((state.epoch or 0.0) + 1e-6))

    def on_step_end(self, args: Any, state: Any, control: Any, **words: Any) -> None:
        """Stop or save after a step, on all processes alike; the last step of an epoch waits."""
        self._on_step(state.epoch or 0.0, self._loss)
        self.is_stopped = self.flag.is_raised_anywhere(args.device)
        if _is_end(state):
            return
        if self.is_stopped:
            control.should_save = control.should_training_stop = True
        elif self._save_steps and state.global_step % self._save_steps == 0:
            control.should_save = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **words: Any) -> None:
        """Evaluate and save after an epoch, unless a signal came in the middle of it."""
        if not _is_end(state):
            return
        assert self.trainer is not None
        scores = self._on_epoch(round(state.epoch or 0))
        self.trainer.note_scores(scores)
        control.should_log = control.should_save = True
        if self.is_stopped:
            control.should_training_stop = True


def _is_end(state: Any) -> bool:
    """Return whether all steps of an epoch are done, or all of the training."""
    epoch = state.epoch or 0.0
    return bool(abs(epoch - round(epoch)) < 1e-9 or state.global_step >= state.max_steps)
