"""One linear layer on the pooled tokens of all streams, solved to its optimum: the linear probe."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from emo.heads.data.scaling import column_scale
from emo.heads.head import Batch, Head, Loss, task_of
from emo.heads.layers.segments import segment_mean, segment_std
from emo.heads.options import OF_LOSS, OF_STEPS
from emo.heads.solvers.path import Solution, solve_path
from emo.heads.solvers.ridge import ridge_path, wanted_of
from emo.ragged import Ragged

FUSED, COUNTS = "fused", "counts"
"""The streams that :meth:`LinearHead.pool` makes: what is read, and how many tokens there were."""


@dataclass(frozen=True)
class LinearOptions:
    """Of :class:`LinearHead`."""

    std: bool = field(
        default=True,
        metadata={
            "help": "Read the standard deviation over tokens too; no effect if T = 1.",
            "search": (True, False),
        },
    )
    solver: Literal["lbfgs", "ridge", "adamw"] = field(
        default="lbfgs",
        metadata={
            "help": "lbfgs: the optimum at each penalty; ridge: least squares in closed form; "
            "adamw: the training loop."
        },
    )
    penalties: int = field(
        default=11,
        metadata={"help": "Tried by lbfgs and ridge, from 1 to 1e-5; the best on val is kept."},
    )
    fusion: Literal["late", "early"] = field(
        default="late",
        metadata={
            "help": "late: streams solved alone, probabilities averaged; early: together.",
            "search": ("late", "early"),
        },
    )

    bias: bool = field(
        default=True, metadata={"help": "Beside the weights; only adamw can do without."}
    )

    def __post_init__(self) -> None:
        if not self.bias and self.solver != "adamw":
            raise ValueError(f"expected bias with solver={self.solver}; adamw can do without")
        if self.penalties < 1:
            raise ValueError(f"expected penalties >= 1, got {self.penalties}")


class LinearHead(Head):
    """Logistic regression on the mean (and spread) of each stream's tokens.

    Before solving, the means of a stream, and its standard deviations, are each brought to total
    variance 1 over clips, so that one penalty suits all; the factors end up in the weights.

    Streams are fused late by default: each gets a regression of its own, at the penalty with the
    lowest loss on ``val``, and the class probabilities are averaged (the sum rule, which bears
    with one overconfident stream; Kittler et al. 1998, doi:10.1109/34.667881). With a few hundred
    clips one regression on everything fits the labels of clips by any stream and does not gain
    from the others; with many clips ``fusion=early`` may.

    A stream that a clip lacks takes no part in the average. A clip of one token has no spread to
    measure; it gets the mean spread of the others, because none at all would be an extreme one.

    ``solver=ridge`` regresses on 0 and 1: its logits rank classes well, but as probabilities they
    are nearly even; label smoothing and class weights do not reach it, but of streams fused late
    they help to choose the penalties.
    """

    Options = LinearOptions
    joins_streams = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: LinearOptions
    ) -> None:
        """As in the contract."""
        super().__init__(dims, classes, options=options)
        self.typical: Tensor
        self.options, self.classes = options, dict(classes)
        self.blocks = [dim for dim in dims.values() for _ in range(1 + options.std)]
        self.widths = [dim * (1 + options.std) for dim in dims.values()]
        if options.fusion == "early":
            self.widths = [sum(self.widths)]
        self.linears = nn.ModuleList(
            nn.Linear(width, sum(classes.values()), bias=options.bias) for width in self.widths
        )
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("typical", torch.zeros(sum(self.blocks)))

    def pool(self, batch: Batch) -> Batch:
        """Of each clip the means and standard deviations of all streams, and their lengths."""
        if FUSED in batch.streams:
            return batch
        columns = []
        for tokens in (batch.streams[name] for name in self.streams):
            columns.append(segment_mean(tokens.values, tokens.offsets))
            if self.options.std:
                columns.append(segment_std(tokens.values, tokens.offsets))
        fused = torch.cat(columns, dim=1)  # (N, sum of blocks)
        counts = torch.stack([batch.streams[name].lengths for name in self.streams], dim=1)
        offsets = torch.arange(len(fused) + 1)
        made = {FUSED: Ragged(fused, offsets), COUNTS: Ragged(counts.to(fused.dtype), offsets)}
        return replace(batch, streams=made)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """As in the contract; the logits of late fusion are the averaged log-probabilities."""
        batch = self.pool(batch)
        rows = torch.split(self._rows(batch), self.widths, dim=1)
        logits = [linear(part) for linear, part in zip(self.linears, rows, strict=True)]
        if len(logits) == 1:
            return self._by_target(logits[0])
        parts = [self._by_target(one) for one in logits]
        votes = (batch.streams[COUNTS].values > 0).to(rows[0].dtype)
        votes = torch.where(votes.any(1, keepdim=True), votes, 1.0)  # a clip of nothing: the priors
        return {
            target: self._average(torch.stack([part[target] for part in parts]), votes, target)
            for target in self.classes
        }

    def _average(self, parts: Tensor, votes: Tensor, target: str) -> Tensor:
        """Of the probabilities of classes; of numbers and several labels, of the logits.

        Args:
            parts: (streams, N, C) logits.
            votes: (N, streams) 1 for a stream that the clip has, else 0.
            target: its name.
        """
        shares = (votes / votes.sum(1, keepdim=True)).T[:, :, None]
        if task_of(self.classes[target]) != "classify":
            return (parts * shares).sum(0)
        return (parts.log_softmax(2) + shares.log()).logsumexp(0)

    @property
    def is_solved(self) -> bool:
        """Unless it is trained by steps."""
        return bool(self.options.solver != "adamw")

    @classmethod
    def unused_options(cls, options: LinearOptions, *, streams: int) -> tuple[str, ...]:
        """As in the contract; ``ridge`` has a loss of its own, others only choose its penalties."""
        if options.solver == "adamw":
            return ()
        is_late = options.fusion == "late" and streams > 1
        return OF_STEPS if options.solver == "lbfgs" or is_late else OF_STEPS + OF_LOSS

    def path(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float] | None:
        """The optimum at each penalty, strongest first; of late fusion one candidate."""
        self._learn_spreads(self.pool(train))
        return self._candidates(train, val, loss) if self.is_solved else None

    def _candidates(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float]:
        scale = column_scale(self._rows(train), self.blocks)
        seen, held_out = (
            torch.split(self._rows(batch) * scale, self.widths, dim=1) for batch in (train, val)
        )
        paths = [self._path_of(rows, train, loss) for rows in seen]
        if len(paths) > 1:
            paths = [
                iter([min(path, key=lambda found: self._loss_at(found, rows, val, loss))])
                for path, rows in zip(paths, held_out, strict=True)
            ]
        scales = torch.split(scale, self.widths)
        for together in zip(*paths, strict=True):
            with torch.no_grad():
                for linear, found, factors in zip(self.linears, together, scales, strict=True):
                    weights = {"weight": found.weight * factors, "bias": found.bias}
                    linear.load_state_dict(weights)
                if len(together) == 1:
                    yield together[0].loss
                else:
                    yield loss(self(train), train.targets).item()

    def _path_of(self, rows: Tensor, train: Batch, loss: Loss) -> Iterator[Solution]:
        if self.options.solver == "ridge":
            return self._ridge(rows, train)
        return solve_path(
            rows,
            lambda logits: loss(self._by_target(logits), train.targets),
            outputs=sum(self.classes.values()),
            penalties=self._penalties(),
        )

    def _ridge(self, rows: Tensor, train: Batch) -> Iterator[Solution]:
        """Each target on the clips that have its label; they share the penalty."""
        paths = []
        for target, count in self.classes.items():
            wanted, known = wanted_of(train.targets[target], count)
            paths.append(ridge_path(rows[known], wanted, self._penalties()))
        for found in zip(*paths, strict=True):
            yield Solution(
                found[0].penalty,
                torch.cat([one.weight for one in found]),
                torch.cat([one.bias for one in found]),
                sum(one.loss for one in found),
            )

    def _penalties(self) -> list[float]:
        found: list[float] = torch.logspace(0, -5, self.options.penalties).double().tolist()
        return found

    def _loss_at(self, found: Solution, rows: Tensor, batch: Batch, loss: Loss) -> float:
        return loss(self._by_target(rows @ found.weight.T + found.bias), batch.targets).item()

    def _rows(self, batch: Batch) -> Tensor:
        """(N, sum of blocks) what is read, with typical spreads where there is none to measure."""
        pooled = self.pool(batch).streams
        rows: Tensor = pooled[FUSED].values
        lacks_spread = pooled[COUNTS].values <= 1
        if not (lacks_spread.any() and self.typical.any()):
            return rows
        factors = lacks_spread.to(rows.dtype)[:, self._stream_of_columns()]
        return torch.addcmul(rows, factors, self.typical)  # which is 0 in the columns of means

    @torch.no_grad()
    def _learn_spreads(self, pooled: Batch) -> None:
        """The mean standard deviations of each stream, over clips of two tokens and more."""
        if not self.options.std:
            return
        rows, counts = (pooled.streams[name].values for name in (FUSED, COUNTS))
        start = 0
        for index, dim in enumerate(self.blocks[::2]):
            has_spread = (counts[:, index] > 1).to(rows.dtype)
            spreads = slice(start + dim, start := start + 2 * dim)
            self.typical[spreads] = has_spread @ rows[:, spreads] / has_spread.sum().clamp(min=1)

    def _stream_of_columns(self) -> Tensor:
        """(sum of blocks,) which stream each column is of."""
        blocks = torch.arange(len(self.blocks)) // (1 + self.options.std)
        return blocks.repeat_interleave(torch.tensor(self.blocks))

    def _by_target(self, logits: Tensor) -> dict[str, Tensor]:
        parts = torch.split(logits, list(self.classes.values()), dim=1)
        return dict(zip(self.classes, parts, strict=True))
