"""Epochs of gradient steps: AdamW over shuffled clips or dialogues, and their state to resume."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emo.errors import FitError
from emo.heads.head import Batch, Head, Loss
from emo.heads.options import LoopOptions
from emo.heads.training.adamw import AdamW
from emo.heads.training.augment import augment, mix
from emo.machine.untrusted.documents import parse_checked, shortened
from emo.machine.untrusted.kinds import Fields, ListOf, Where

_STATE = Fields(
    {
        "steps": Where(int, lambda steps: 0 <= steps < 2**31, "a number of steps"),
        "generators": ListOf(dict),
    }
)


class Steps:
    """The gradient steps of one head; after saving and loading they give the same bits.

    The class has two random generators, one for the order of clips and one for augmentation;
    dropout draws from torch's own.
    """

    def __init__(
        self, head: Head, train: Batch, loss: Loss, options: LoopOptions, *, seed: int
    ) -> None:
        """Prepare the optimizer and the learning rates.

        Args:
            head: the head to train, in place.
            train: pooled training clips with labels.
            loss: the loss to minimise.
            options: options of the training loop.
            seed: seed of the order of clips and of augmentation.
        """
        self._head, self._loss, self._options = head, loss, options
        self._optimizer = AdamW(
            head.parameters(), weight_decay=options.weight_decay,
            gradient_norm=options.gradient_norm,
        )  # fmt: skip
        self._order_random = np.random.default_rng(seed)
        self._augment_random = np.random.default_rng([seed, 1])  # leaves the order unchanged
        self._train = train.in_dialogues() if head.unit == "dialogue" else train
        turns = self._train.turns
        self._count = len(train) if head.unit == "clip" or turns is None else len(turns)
        batches = -(-self._count // options.batch_size)
        self._rates = list(
            learning_rates(options, options.epochs * -(-batches // options.accumulate))
        )

    def epoch(self) -> float:
        """Train on every clip once, and return the mean loss."""
        options, head = self._options, self._head
        head.train()
        order = self._order_random.permutation(self._count)
        starts = range(0, self._count, options.batch_size)
        total = 0.0
        for index, start in enumerate(starts):
            chosen = order[start : start + options.batch_size]
            batch = self._select(chosen)
            value = self._loss_at(augment(batch, options, self._augment_random))
            first = index - index % options.accumulate
            together = min(options.accumulate, len(starts) - first)
            self._optimizer.add(value if together == 1 else value / together)
            if index == first + together - 1:
                self._optimizer.step_added(self._rates[int(self._optimizer.steps)])
            total += value.item() * len(batch)
        return total / len(self._train)

    def state(self) -> tuple[dict[str, Tensor], str]:
        """Return all that :meth:`load` needs to continue: tensors, and a line of JSON.

        The tensors are the head's weights, the optimizer's means and torch's generator; the JSON
        line holds the step count and the states of the two numpy generators.
        """
        optimizer = self._optimizer
        tensors = {"mean": optimizer.mean, "square": optimizer.square}
        tensors |= {"torch": torch.get_rng_state()}
        tensors |= {f"head/{name}": value for name, value in self._head.state_dict().items()}
        generators = [generator.bit_generator.state for generator in self._generators]
        return tensors, json.dumps({"steps": int(optimizer.steps), "generators": generators})

    def load(self, tensors: dict[str, Tensor], state_json: str) -> None:
        """Restore a state that :meth:`state` returned.

        Raises:
            FitError: it is the state of another head or optimizer, or damaged.
        """
        try:
            known: dict[str, Any] = parse_checked(state_json, _STATE)
            own = {k.removeprefix("head/"): v for k, v in tensors.items() if k.startswith("head/")}
            self._head.load_state_dict(own)  # into the optimizer's vector, of which they are views
            for name in ("mean", "square"):
                vector: Tensor = getattr(self._optimizer, name)
                if vector.shape != tensors[name].shape:
                    raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}")
                vector.copy_(tensors[name])
            self._optimizer.steps.fill_(known["steps"])
            for generator, found in zip(self._generators, known["generators"], strict=True):
                generator.bit_generator.state = found
            torch.set_rng_state(tensors["torch"])
        except (ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
            raise FitError(
                f"the state of a seed in training is damaged: {shortened(repr(error))}. Start the "
                "fit again without --resume."
            ) from error

    @property
    def _generators(self) -> tuple[np.random.Generator, np.random.Generator]:
        """The generators of the order of clips and of augmentation."""
        return self._order_random, self._augment_random

    def _select(self, chosen: np.ndarray) -> Batch:
        """Return the batch of these clips, or of these dialogues for a dialogue head."""
        if self._head.unit == "clip":
            return self._train.select(chosen)
        return self._train.select_dialogues(chosen)

    def _loss_at(self, batch: Batch) -> Tensor:
        """Return the loss of one batch, with mixup in the share of steps that the options say."""
        options, random, loss = self._options, self._augment_random, self._loss
        if not (options.mixup and random.random() < options.mixup_probability):
            return loss(self._forward(batch), batch.targets)
        share = random.beta(options.mixup, options.mixup)
        order = random.permutation(len(batch))
        logits = self._forward(mix(batch, order, share))
        others = {name: labels[torch.from_numpy(order)] for name, labels in batch.targets.items()}
        return share * loss(logits, batch.targets) + (1 - share) * loss(logits, others)

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return float32 logits by target; the head may run in bfloat16."""
        if not self._options.bf16:
            found: dict[str, Tensor] = self._head(batch)
            _check_logits(self._head, found, batch)
            return found
        with torch.autocast("cpu", torch.bfloat16):
            found = self._head(batch)
        _check_logits(self._head, found, batch)
        return {target: logits.float() for target, logits in found.items()}


def _check_logits(head: Head, found: object, batch: Batch) -> None:
    """Check what the ``forward`` of a head, which may be a user's own, returned.

    Raises:
        FitError: it is no logits by target, or has not a row for each clip.
    """
    what = f"head {type(head).__name__}: forward must return {{target: logits (rows, C)}}"
    if not isinstance(found, dict):
        raise FitError(f"{what}, got {type(found).__name__}")
    for target in batch.targets:
        if target not in found:
            raise FitError(f"{what}, got nothing for {target}; found {', '.join(found) or 'none'}")
        shape = tuple(getattr(found[target], "shape", ()))
        rows = shape[0] if shape else 0
        if len(shape) != 2 or (target not in head.pair_targets and rows != len(batch)):
            raise FitError(f"{what}; of {target} expected ({len(batch)}, C), got {shape}")


def learning_rates(options: LoopOptions, steps: int) -> Iterator[float]:
    """Yield the learning rate of each step: a linear warmup, then the decay.

    Args:
        options: learning rate, warmup share and kind of decay.
        steps: number of steps of all epochs; early stopping does not change the schedule.
    """
    rising = round(options.warmup * steps)
    for step in range(steps):
        factor = (step + 1) / rising if step < rising else 1.0
        done = max(step - rising, 0) / max(steps - rising, 1)
        if options.decay == "linear":
            factor *= 1 - done
        elif options.decay == "cosine":
            factor *= (1 + math.cos(math.pi * done)) / 2
        yield options.learning_rate * factor
