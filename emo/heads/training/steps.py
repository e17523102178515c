"""Epochs of gradient steps: AdamW over shuffled clips or dialogues, and what is needed to go on."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emo.heads.head import Batch, Head, Loss
from emo.heads.options import LoopOptions
from emo.heads.training.adamw import AdamW
from emo.heads.training.augment import augment, mix


class Steps:
    """The steps of one head, epoch after epoch; stopped and loaded again, they give the same bits.

    Beside the two generators here, dropout draws from torch's own.
    """

    def __init__(
        self, head: Head, train: Batch, loss: Loss, options: LoopOptions, *, seed: int
    ) -> None:
        """Take hold of the head's parameters; ``train`` has targets and is pooled."""
        self._head, self._loss, self._options = head, loss, options
        self._optimizer = AdamW(
            head.parameters(), weight_decay=options.weight_decay,
            gradient_norm=options.gradient_norm,
        )  # fmt: skip
        self._order = np.random.default_rng(seed)
        self._changes = np.random.default_rng([seed, 1])  # apart: the order of clips stays the same
        self._train = train.in_dialogues() if head.unit == "dialogue" else train
        turns = self._train.turns
        self._count = len(train) if head.unit == "clip" or turns is None else len(turns)
        batches = -(-self._count // options.batch_size)
        self._rates = list(
            learning_rates(options, options.epochs * -(-batches // options.accumulate))
        )

    def epoch(self) -> float:
        """One pass over the clips; the mean loss."""
        options, head = self._options, self._head
        head.train()
        order = self._order.permutation(self._count)
        starts = range(0, self._count, options.batch_size)
        total = 0.0
        for index, start in enumerate(starts):
            chosen = order[start : start + options.batch_size]
            batch = self._select(chosen)
            value = self._loss_at(augment(batch, options, self._changes))
            first = index - index % options.accumulate
            together = min(options.accumulate, len(starts) - first)
            self._optimizer.add(value if together == 1 else value / together)
            if index == first + together - 1:
                self._optimizer.step_added(self._rates[int(self._optimizer.steps)])
            total += value.item() * len(batch)
        return total / len(self._train)

    def state(self) -> tuple[dict[str, Tensor], str]:
        """Tensors and a line of JSON from which :meth:`load` goes on."""
        optimizer = self._optimizer
        tensors = {"mean": optimizer.mean, "square": optimizer.square}
        tensors |= {"torch": torch.get_rng_state()}
        tensors |= {f"head/{name}": value for name, value in self._head.state_dict().items()}
        generators = [generator.bit_generator.state for generator in (self._order, self._changes)]
        return tensors, json.dumps({"steps": int(optimizer.steps), "generators": generators})

    def load(self, tensors: dict[str, Tensor], line: str) -> None:
        """Go on where :meth:`state` was taken."""
        known: dict[str, Any] = json.loads(line)
        own = {k.removeprefix("head/"): v for k, v in tensors.items() if k.startswith("head/")}
        self._head.load_state_dict(own)  # into the optimizer's vector, of which they are views
        self._optimizer.mean.copy_(tensors["mean"])
        self._optimizer.square.copy_(tensors["square"])
        self._optimizer.steps.fill_(known["steps"])
        for generator, found in zip((self._order, self._changes), known["generators"], strict=True):
            generator.bit_generator.state = found
        torch.set_rng_state(tensors["torch"])

    def _select(self, chosen: np.ndarray) -> Batch:
        if self._head.unit == "clip":
            return self._train.select(chosen)
        return self._train.select_dialogues(chosen)

    def _loss_at(self, batch: Batch) -> Tensor:
        """Of one batch, with mixup where it is asked for and its turn."""
        options, random, loss = self._options, self._changes, self._loss
        if not (options.mixup and random.random() < options.mixup_probability):
            return loss(self._forward(batch), batch.targets)
        share = random.beta(options.mixup, options.mixup)
        order = random.permutation(len(batch))
        logits = self._forward(mix(batch, order, share))
        others = {name: labels[torch.from_numpy(order)] for name, labels in batch.targets.items()}
        return share * loss(logits, batch.targets) + (1 - share) * loss(logits, others)

    def _forward(self, batch: Batch) -> dict[str, Tensor]:
        if not self._options.bf16:
            found: dict[str, Tensor] = self._head(batch)
            return found
        with torch.autocast("cpu", torch.bfloat16):
            found = self._head(batch)
        return {target: logits.float() for target, logits in found.items()}


def learning_rates(options: LoopOptions, steps: int) -> Iterator[float]:
    """Of each step: a linear rise, then the decay; early stopping does not shorten it."""
    rising = round(options.warmup * steps)
    for step in range(steps):
        factor = (step + 1) / rising if step < rising else 1.0
        done = max(step - rising, 0) / max(steps - rising, 1)
        if options.decay == "linear":
            factor *= 1 - done
        elif options.decay == "cosine":
            factor *= (1 + math.cos(math.pi * done)) / 2
        yield options.learning_rate * factor
