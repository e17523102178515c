"""The linear probe: linear layers on the pooled tokens of streams, solved to their optimum."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from emo.heads.head import TEMPERATURE, Batch, Head, Loss, task_of
from emo.heads.layers.clip_statistics import COUNTS, ClipStatistics
from emo.heads.options import LOSS_OPTIONS, STEP_OPTIONS
from emo.heads.solvers.path import Solution, solve_path
from emo.heads.solvers.ridge import ridge_path, wanted_of
from emo.heads.solvers.temperature import fit_temperature


@dataclass(frozen=True)
class LinearOptions:
    """Options of :class:`LinearHead`."""

    std: bool = field(
        default=True,
        metadata={
            "help": "Read the standard deviation over tokens too; no effect where T = 1.",
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
        metadata={
            "help": "Number of penalties, from 1 to 1e-5, for lbfgs and ridge; the best on val is "
            "kept."
        },
    )
    fusion: Literal["late", "early"] = field(
        default="late",
        metadata={
            "help": "late: solve each stream alone and average probabilities; early: all together.",
            "search": ("late", "early"),
        },
    )

    bias: bool = field(
        default=True, metadata={"help": "Learn a bias; only adamw can leave it out."}
    )

    def __post_init__(self) -> None:
        if not self.bias and self.solver != "adamw":
            raise ValueError(f"expected bias=yes with solver={self.solver}; adamw can leave it out")
        if self.penalties < 1:
            raise ValueError(f"expected penalties >= 1, got {self.penalties}")


class LinearHead(Head):
    """Logistic regression on each stream's mean and spread.

    Before solving, the means of a stream, and its standard deviations, are each scaled to total
    variance 1 over clips, so that one penalty suits all. The factors are then multiplied into the
    weights.

    Streams are fused late by default: each has a regression of its own, at the penalty with the
    lowest loss on ``val``, and the class probabilities are averaged (the sum rule, which tolerates
    an overconfident stream; Kittler et al. 1998, doi:10.1109/34.667881). With a few hundred clips,
    one regression on all streams fits the training labels from any stream and gains nothing from
    the others; with many clips ``fusion=early`` may be better.

    An average of probabilities is less confident than it is right. So the averaged
    log-probabilities of a clip that has several streams are divided by one temperature for each
    target, fitted on ``val``, which changes no predicted class. Runs without one have 1.

    A stream that a clip lacks is left out of the average. A clip of one token has no standard
    deviation; it gets the mean one of the other clips, because zero would be an extreme value.

    ``solver=ridge`` regresses on 0 and 1. Its logits rank classes well, but as probabilities they
    are nearly equal. Label smoothing and class weights do not change its solutions, but with late
    fusion they change which penalty is chosen.
    Source: Alain and Bengio 2016 (linear probes, arXiv:1610.01644); Kittler et al. 1998 (sum rule).
    """

    Options = LinearOptions
    joins_streams = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: LinearOptions
    ) -> None:
        """Build one linear layer for each stream, or one for all if fused early; all zero."""
        super().__init__(dims, classes, options=options)
        self.typical: Tensor
        self.temperature: Tensor
        self.options, self.classes = options, dict(classes)
        self.statistics = ClipStatistics(tuple(dims), tuple(dims.values()), options.std)
        self.widths = [dim * (1 + options.std) for dim in dims.values()]
        if options.fusion == "early":
            self.widths = [sum(self.widths)]
        self.linears = nn.ModuleList(
            nn.Linear(width, sum(classes.values()), bias=options.bias) for width in self.widths
        )
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("typical", torch.zeros(sum(self.statistics.blocks)))
        if len(self.widths) > 1:
            self.register_buffer(TEMPERATURE, torch.ones(len(classes)))
            self.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call]
                _without_temperature
            )

    def pool(self, batch: Batch) -> Batch:
        """Compute the means and standard deviations of all streams, and numbers of tokens."""
        return self.statistics.pool(batch)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target; fused late: log-probabilities."""
        batch = self.pool(batch)
        rows = torch.split(self._rows(batch), self.widths, dim=1)
        logits = [linear(part) for linear, part in zip(self.linears, rows, strict=True)]
        if len(logits) == 1:
            return self._by_target(logits[0])
        parts = [self._by_target(one) for one in logits]
        votes = (batch.streams[COUNTS].values > 0).to(rows[0].dtype)
        votes = torch.where(votes.any(1, keepdim=True), votes, 1.0)  # no stream: biases of all
        is_fused = votes.sum(1, keepdim=True) > 1
        return {
            target: self._average(torch.stack([part[target] for part in parts]), votes, target)
            / torch.where(is_fused, self.temperature[index], 1.0)
            for index, target in enumerate(self.classes)
        }

    def _average(self, parts: Tensor, votes: Tensor, target: str) -> Tensor:
        """Average the streams' class probabilities; of numbers and several labels, their logits.

        Args:
            parts: float32 (streams, N, C) logits.
            votes: float32 (N, streams), 1 for a stream that the clip has, else 0.
            target: name of the target.

        Returns:
            float32 (N, C): log-probabilities, or logits.
        """
        shares = (votes / votes.sum(1, keepdim=True)).T[:, :, None]
        if task_of(self.classes[target]) != "classify":
            return (parts * shares).sum(0)
        return (parts.log_softmax(2) + shares.log()).logsumexp(0)

    @property
    def is_solved(self) -> bool:
        """Whether a solver finds the weights, instead of gradient steps."""
        return bool(self.options.solver != "adamw")

    @classmethod
    def unused_options(cls, options: LinearOptions, *, streams: int) -> tuple[str, ...]:
        """Return the options of the training loop that the solver does not use.

        ``ridge`` has a loss of its own; the loop's loss is used only to choose penalties.
        """
        if options.solver == "adamw":
            return ()
        is_late = options.fusion == "late" and streams > 1
        return STEP_OPTIONS if options.solver == "lbfgs" or is_late else STEP_OPTIONS + LOSS_OPTIONS

    def path(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float] | None:
        """Yield the optimum at each penalty, strongest first; with late fusion, one candidate."""
        self.typical.copy_(self.statistics.typical_spreads(self.pool(train)))
        return self._candidates(train, val, loss) if self.is_solved else None

    def _candidates(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float]:
        """Solve, load one candidate's weights after another, and yield their training losses."""
        scale = self.column_factors(train)
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
                    self._fit_temperatures(val)
                    yield loss(self(train), train.targets).item()

    def _fit_temperatures(self, val: Batch) -> None:
        """Fit the temperature of each target of classes on its fused labelled clips of ``val``."""
        self.temperature.fill_(1)
        logits = self(val)
        is_fused = (self.pool(val).streams[COUNTS].values > 0).sum(1) > 1
        for index, (target, count) in enumerate(self.classes.items()):
            labels = val.targets[target]
            if task_of(count) == "classify" and bool((known := is_fused & (labels >= 0)).any()):
                self.temperature[index] = fit_temperature(logits[target][known], labels[known])

    def column_factors(self, train: Batch) -> Tensor:
        """Return the factors of the layers' inputs before solving, float32 (sum of blocks,)."""
        return self.statistics.factors(self.pool(train), self.typical)

    def _path_of(self, rows: Tensor, train: Batch, loss: Loss) -> Iterator[Solution]:
        """Yield the solutions of one linear layer at all penalties, given its inputs (N, D)."""
        if self.options.solver == "ridge":
            return self._ridge(rows, train)
        return solve_path(
            rows,
            lambda logits: loss(self._by_target(logits), train.targets),
            outputs=sum(self.classes.values()),
            penalties=self._penalties(),
        )

    def _ridge(self, rows: Tensor, train: Batch) -> Iterator[Solution]:
        """Yield ridge solutions: each target is solved on its labelled clips, at one penalty."""
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
        """Return the penalties, strongest first."""
        found: list[float] = torch.logspace(0, -5, self.options.penalties).double().tolist()
        return found

    def _loss_at(self, found: Solution, rows: Tensor, batch: Batch, loss: Loss) -> float:
        """Return the loss of a solution on a batch, given the layer's inputs (N, D)."""
        return loss(self._by_target(rows @ found.weight.T + found.bias), batch.targets).item()

    def _rows(self, batch: Batch) -> Tensor:
        """Return the inputs of the layers, float32 (N, sum of blocks).

        Where a clip has at most one token of a stream, its standard deviations are typical ones.
        """
        return self.statistics.rows(self.pool(batch), self.typical)

    def _by_target(self, logits: Tensor) -> dict[str, Tensor]:
        """Divide logits (N, sum of C) into those of each target, (N, C)."""
        parts = torch.split(logits, list(self.classes.values()), dim=1)
        return dict(zip(self.classes, parts, strict=True))


def _without_temperature(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Give weights that were written before there was a temperature one of 1."""
    assert isinstance(module, LinearHead)
    state.setdefault(prefix + TEMPERATURE, torch.ones(len(module.classes)))
