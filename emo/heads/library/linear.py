"""The linear probe: linear layers on the pooled tokens of streams, solved to their optimum."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from emo.errors import OptionError
from emo.heads.head import TEMPERATURE, Batch, Head, Loss, task_of
from emo.heads.layers.clip_statistics import COUNTS, ClipStatistics
from emo.heads.options import LOSS_OPTIONS, STEP_OPTIONS
from emo.heads.solvers.path import (
    TOLERANCE,
    TRIAL_TOLERANCE,
    Solution,
    covariance_of,
    solve_path,
)
from emo.heads.solvers.ridge import ridge_path, wanted_of
from emo.heads.solvers.temperature import fit_temperature

AUTO, LATE, EARLY = "auto", "late", "early"
"""Values of the option ``fusion`` besides the name of a stream."""
PENALTIES, CHOSEN = "penalties", "chosen_fusion"
"""Buffers of a head: the penalty of each layer, float32 (layers,), 0 where it is not known; and the
index in :attr:`LinearHead.variants` of the fusion that was chosen, int64 ()."""


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
    fusion: str = field(
        default=AUTO,
        metadata={
            "help": "auto: the best of the following by its score on val; late: solve each stream "
            "alone and average probabilities; early: all together; or the name of one stream.",
            "search": (AUTO, LATE, EARLY),
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

    How streams are fused is chosen by the score on ``val`` (``fusion=auto``): the best stream
    alone; late, where each stream has a regression of its own, at the penalty with the lowest loss
    on ``val``, and the class probabilities are averaged (the sum rule, which tolerates an
    overconfident stream; Kittler et al. 1998, doi:10.1109/34.667881); or early, one regression on
    all streams. With a few hundred clips early fits the training labels from any stream, and late
    is better; where only streams together show the label, early is. If ``val`` is small, inner
    folds are scored, see :mod:`emo.heads.training.solve`. Of equal scores the first is chosen:
    streams in their order, late, early. Gradient steps cannot choose: for ``solver=adamw``, auto
    is late.

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
    can_refit = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: LinearOptions
    ) -> None:
        """Build one linear layer for each stream, or one for all if fused early; all zero."""
        super().__init__(dims, classes, options=options)
        self.typical: Tensor
        self.temperature: Tensor
        self.penalties: Tensor
        self.chosen_fusion: Tensor
        self.options, self.classes = options, dict(classes)
        self.statistics = ClipStatistics(tuple(dims), tuple(dims.values()), options.std)
        self.fusion = _fusion_of(options, tuple(dims))
        self.stream_widths = [dim * (1 + options.std) for dim in dims.values()]
        self.widths = self.stream_widths
        if self.fusion == EARLY:
            self.widths = [sum(self.stream_widths)]
        elif self.fusion in dims:
            self.widths = [self.stream_widths[self.streams.index(self.fusion)]]
        self.linears = nn.ModuleList(
            nn.Linear(width, sum(classes.values()), bias=options.bias) for width in self.widths
        )
        for parameter in self.parameters():
            nn.init.zeros_(parameter)
        self.register_buffer("typical", torch.zeros(sum(self.statistics.blocks)))
        self.register_buffer(PENALTIES, torch.zeros(len(self.widths)))
        if len(self.widths) > 1:
            self.register_buffer(TEMPERATURE, torch.ones(len(classes)))
        if self.fusion == AUTO:
            self.register_buffer(CHOSEN, torch.tensor(self.variants.index(LATE)))
        self.register_load_state_dict_pre_hook(_with_missing_buffers)  # type: ignore[no-untyped-call]

    def pool(self, batch: Batch) -> Batch:
        """Compute the means and standard deviations of all streams, and numbers of tokens."""
        return self.statistics.pool(batch)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target; fused late: log-probabilities."""
        batch = self.pool(batch)
        rows, fusion = self._rows(batch), self.variant or self.fusion
        parts = dict(zip(self.streams, torch.split(rows, self.stream_widths, dim=1), strict=True))
        if len(self.linears) == 1:
            only: nn.Module = self.linears[0]
            return self._by_target(only(parts.get(fusion, rows)))
        if fusion in parts:
            one: nn.Module = self.linears[self.streams.index(fusion)]
            return self._by_target(one(parts[fusion]))
        logits = [linear(part) for linear, part in zip(self.linears, parts.values(), strict=True)]
        return self._by_target(sum(logits)) if fusion == EARLY else self._late(logits, batch)

    def _late(self, logits: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """Return log-probabilities, float32 (N, C), from the logits of each stream alone."""
        parts = [self._by_target(one) for one in logits]
        votes = (batch.streams[COUNTS].values > 0).to(logits[0].dtype)
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

    @property
    def variants(self) -> tuple[str, ...]:
        """Fusions between which the fit chooses, in the order in which ties are decided."""
        return (*self.streams, LATE, EARLY) if self.fusion == AUTO else ()

    @property
    def variant(self) -> str:
        """Fusion of the candidate that the head holds; empty: it is not chosen by the fit."""
        return self.variants[int(self.chosen_fusion)] if self.fusion == AUTO else ""

    @property
    def read_streams(self) -> tuple[str, ...]:
        """The stream that the fit chose, or all that are fused."""
        fusion = self.variant or self.fusion
        return (fusion,) if fusion in self.streams else self.streams

    @classmethod
    def unused_options(cls, options: LinearOptions, *, streams: int) -> tuple[str, ...]:
        """Return the options of the training loop that the solver does not use.

        ``ridge`` has a loss of its own; the loop's loss is used only to choose penalties.
        """
        if options.solver == "adamw":
            return ()
        is_late = options.fusion in (AUTO, LATE) and streams > 1
        return STEP_OPTIONS if options.solver == "lbfgs" or is_late else STEP_OPTIONS + LOSS_OPTIONS

    def path(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float] | None:
        """Yield the optimum at each penalty, strongest first; with late fusion, one candidate.

        With ``fusion=auto`` the candidates of each fusion follow one another.
        """
        self.typical.copy_(self.statistics.typical_spreads(self.pool(train)))
        return self._candidates(train, val, loss) if self.is_solved else None

    def _candidates(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float]:
        """Solve, load one candidate's weights after another, and yield their training losses."""
        rows, scale = self._scaled_rows(train)
        if len(self.linears) == 1:
            for found in self._path_of(self._read(rows), train, loss):
                yield self._load({0: found}, scale)
            return
        covariance = covariance_of(rows) if self.fusion == AUTO else None
        seen = [part.contiguous() for part in torch.split(rows, self.widths, dim=1)]
        held_out = torch.split(self._rows(val) * scale, self.widths, dim=1)
        lowest: dict[int, Solution] = {}
        for index, part in enumerate(seen):
            path = [*self._path_of(part, train, loss, covariance=self._block(covariance, index))]
            losses = [self._loss_at(found, held_out[index], val, loss) for found in path]
            lowest[index] = path[min(range(len(path)), key=losses.__getitem__)]
            for found in path if self.fusion == AUTO else ():
                yield self._load({index: found}, scale, self.streams[index])
        self._load(lowest, scale, LATE)
        self._fit_temperatures(val)
        yield loss(self(train), train.targets).item()
        for found in (
            self._path_of(rows, train, loss, covariance=covariance) if self.fusion == AUTO else ()
        ):
            yield self._load(self._divided(found), scale, EARLY)

    def _scaled_rows(self, train: Batch) -> tuple[Tensor, Tensor]:
        """Return the inputs for the solver, float32 (N, sum of blocks), and their factors."""
        scale = self.column_factors(train)
        return self._rows(train) * scale, scale

    def _read(self, rows: Tensor) -> Tensor:
        """Return the columns that the only layer reads: those of one stream, or all."""
        if self.fusion not in self.streams:
            return rows
        index = self.streams.index(self.fusion)
        return torch.split(rows, self.stream_widths, dim=1)[index].contiguous()

    def _block(self, covariance: Tensor | None, index: int) -> Tensor | None:
        """Return the covariance of one stream's columns."""
        if covariance is None:
            return None
        start, width = sum(self.widths[:index]), self.widths[index]
        return covariance[start : start + width, start : start + width].contiguous()

    def _divided(self, found: Solution) -> dict[int, Solution]:
        """Divide a solution on all columns among the layers; the first has the bias."""
        weights = torch.split(found.weight, self.widths, dim=1)
        return {
            index: Solution(
                found.penalty, weight, found.bias if index == 0 else 0 * found.bias, found.loss
            )
            for index, weight in enumerate(weights)
        }

    @torch.no_grad()
    def _load(self, layers: Mapping[int, Solution], scale: Tensor, fusion: str = "") -> float:
        """Give layers the weights of solutions, all others zeros; return the training loss.

        Args:
            layers: solution of each layer.
            scale: float32 (sum of blocks,), factors of the columns.
            fusion: the fusion whose candidate this is; empty: the only one.
        """
        whole = self._read(scale[None])[0] if len(self.linears) == 1 else scale
        for index, factors in enumerate(torch.split(whole, self.widths)):
            linear, found = self.linears[index], layers.get(index)
            assert isinstance(linear, nn.Linear)
            linear.weight.copy_(found.weight * factors if found else torch.zeros(()))
            linear.bias.copy_(found.bias if found else torch.zeros(()))
            self.penalties[index] = found.penalty if found else 0.0
        if len(self.linears) > 1:
            self.temperature.fill_(1)
        if self.fusion == AUTO:
            self.chosen_fusion.fill_(self.variants.index(fusion))
        return next(iter(layers.values())).loss

    def refit(self, train: Batch, loss: Loss) -> None:
        """Solve the candidate that the head holds again, at its penalties.

        Typical deviations and temperatures stay.
        """
        rows, scale = self._scaled_rows(train)
        fusion, kept = self.variant or self.fusion, self.penalties.double().tolist()
        temperature = self.temperature.clone() if len(self.linears) > 1 else None

        def solved(part: Tensor, penalty: float) -> Solution:
            return next(self._path_of(part.contiguous(), train, loss, penalties=[penalty]))

        if len(self.linears) == 1:
            layers = {0: solved(self._read(rows), kept[0])}
        elif fusion == EARLY:
            layers = self._divided(solved(rows, kept[0]))
        else:
            parts = enumerate(torch.split(rows, self.widths, dim=1))
            layers = {k: solved(part, kept[k]) for k, part in parts if kept[k]}
        self._load(layers, scale, fusion)
        if temperature is not None:
            self.temperature.copy_(temperature)

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

    def _path_of(
        self,
        rows: Tensor,
        train: Batch,
        loss: Loss,
        *,
        penalties: list[float] | None = None,
        covariance: Tensor | None = None,
    ) -> Iterator[Solution]:
        """Yield the solutions of one linear layer at all penalties, given its inputs (N, D)."""
        penalties = penalties or self._penalties()
        if self.options.solver == "ridge":
            return self._ridge(rows, train, penalties)
        return solve_path(
            rows,
            lambda logits: loss(self._by_target(logits), train.targets),
            outputs=sum(self.classes.values()),
            penalties=penalties,
            covariance=covariance,
            tolerance=TRIAL_TOLERANCE if self.is_trial else TOLERANCE,
        )

    def _ridge(self, rows: Tensor, train: Batch, penalties: list[float]) -> Iterator[Solution]:
        """Yield ridge solutions: each target is solved on its labelled clips, at one penalty."""
        paths = []
        for target, count in self.classes.items():
            wanted, known = wanted_of(train.targets[target], count)
            paths.append(ridge_path(rows[known], wanted, penalties))
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
        """Divide logits (…, sum of C) into those of each target, (…, C)."""
        parts = torch.split(logits, list(self.classes.values()), dim=-1)
        return dict(zip(self.classes, parts, strict=True))


def _fusion_of(options: LinearOptions, streams: tuple[str, ...]) -> str:
    """Return the fusion of a head: ``auto``, ``late``, ``early`` or the name of a stream.

    Raises:
        OptionError: the option names no stream of the head.
    """
    if options.fusion not in (AUTO, LATE, EARLY, *streams):
        raise OptionError(
            f"linear: option fusion: expected auto, late, early or one of the streams "
            f"{', '.join(streams)}, got {options.fusion!r}"
        )
    if len(streams) == 1:
        return EARLY
    return LATE if options.fusion == AUTO and options.solver == "adamw" else options.fusion


def _with_missing_buffers(
    module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object
) -> None:
    """Complete weights that were written before there were some buffers."""
    assert isinstance(module, LinearHead)
    for name, buffer in module.named_buffers():
        if name in (PENALTIES, TEMPERATURE, CHOSEN):
            usual = torch.ones_like if name == TEMPERATURE else torch.zeros_like
            state.setdefault(prefix + name, usual(buffer))
    if module.fusion == AUTO and not int(state[prefix + PENALTIES].any()):
        state[prefix + CHOSEN] = torch.tensor(module.variants.index(LATE))
