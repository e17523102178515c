"""A support vector machine with a Gaussian kernel on the pooled tokens of all streams."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from emo.errors import FitError
from emo.heads.head import Batch, Head, Loss
from emo.heads.inner_folds import inner_folds
from emo.heads.labels import is_classes, known_rows, task_of
from emo.heads.layers.clip_statistics import ClipStatistics
from emo.heads.options import LOSS_OPTIONS, STEP_OPTIONS
from emo.heads.solvers.kernel_machine import (
    KernelMachine,
    gaussian_kernel,
    solve_classes,
    solve_landmarks,
    solve_numbers,
    vote,
)
from emo.heads.solvers.temperature import fit_temperature

COSTS, GAMMAS = (0.3, 1.0, 3.0, 10.0, 30.0), (0.1, 0.3, 1.0, 3.0)
"""Values of ``cost`` and ``gamma`` that are tried where none is given."""
MOST_EXACT = 4000
"""Number of clips up to which ``solver=auto`` solves exactly; the time grows with its square."""


@dataclass(frozen=True)
class SvmOptions:
    """Options of :class:`SvmHead`."""

    std: bool = field(
        default=True,
        metadata={"help": "Read the standard deviation over tokens too; no effect where T = 1."},
    )
    solver: Literal["auto", "exact", "nystroem"] = field(
        default="auto",
        metadata={
            "help": "exact: scikit-learn's; nystroem: logistic regression on kernels with some "
            "clips, for many clips; auto: exact up to 4,000 clips."
        },
    )
    cost: float = field(
        default=0.0, metadata={"help": "C, the price of errors; 0: the best on val of five."}
    )
    gamma: float = field(
        default=0.0,
        metadata={
            "help": "Narrowness of the kernel, in units of scikit-learn's gamma=scale; 0: the best "
            "on val of four."
        },
    )
    landmarks: int = field(
        default=1000, metadata={"help": "Clips with which nystroem computes kernels."}
    )

    def __post_init__(self) -> None:
        for name, least in (("cost", 0), ("gamma", 0), ("landmarks", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"expected {name} >= {least}, got {getattr(self, name)}")


class SvmHead(Head):
    """Support vector machine on means and spreads of all streams.

    Means of a stream, and its standard deviations, are each scaled to total variance 1, as for
    ``linear``. C and gamma are chosen by the score on ``val``. Classes get the votes of one machine
    for each pair; the votes are divided by a temperature that is fitted on inner folds of train (by
    speaker where speakers are known), so that the probabilities are calibrated and no predicted
    class changes.

    The support vectors are kept: the statistics of training clips as the run scales them. Such a
    head holds features of persons, and `emo store erase` counts it so.
    Source: Boser et al. 1992; Chang and Lin 2011 (LIBSVM); Guo et al. 2017 (temperature).
    """

    Options = SvmOptions
    tasks = ("classify", "regress")
    joins_streams = True
    can_refit = True

    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: SvmOptions
    ) -> None:
        """Build a machine without vectors."""
        super().__init__(dims, classes, options=options)
        self.options, self.classes = options, dict(classes)
        self.statistics = ClipStatistics(tuple(dims), tuple(dims.values()), options.std)
        self.coefficients: Tensor
        self.intercepts: Tensor
        self.typical: Tensor
        self.factors: Tensor
        self.settings: Tensor
        self.calibration: Tensor
        self.register_buffer("typical", torch.zeros(sum(self.statistics.blocks)))
        self.register_buffer("factors", torch.ones(sum(self.statistics.blocks)))
        self.register_buffer("settings", torch.ones(3))  # cost, gamma, 1: exact or 0: nystroem
        self.register_buffer("calibration", torch.ones(len(classes)))
        for index, width in enumerate(self.statistics.blocks):
            self.register_buffer(f"vectors_{index}", torch.zeros(0, width))
        self.register_buffer("coefficients", torch.zeros(sum(self._outputs(True)), 0))
        self.register_buffer("intercepts", torch.zeros(sum(self._outputs(True))))
        self.register_load_state_dict_pre_hook(_fit_shapes)  # type: ignore[no-untyped-call]

    def pool(self, batch: Batch) -> Batch:
        """Compute the means and standard deviations of all streams, and numbers of tokens."""
        return self.statistics.pool(batch)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (N, C), for each target: votes of classes, or a number."""
        rows = self._rows(batch) * self.factors
        vectors = torch.cat(self._vectors(), dim=1) * self.factors
        kernel = gaussian_kernel(rows, vectors, float(self.settings[1]))
        decisions = kernel @ self.coefficients.T + self.intercepts
        is_exact = bool(self.settings[2])
        parts = torch.split(decisions, self._outputs(is_exact), dim=1)
        return {
            target: _logits(part, count, is_exact) / self.calibration[index]
            for index, ((target, count), part) in enumerate(
                zip(self.classes.items(), parts, strict=True)
            )
        }

    @property
    def is_solved(self) -> bool:
        """Whether a solver finds the weights: always."""
        return True

    @classmethod
    def unused_options(cls, options: SvmOptions, *, streams: int) -> tuple[str, ...]:
        """Return the options of the training loop that the solver does not use."""
        is_landmarks = options.solver == "nystroem"
        return STEP_OPTIONS if is_landmarks else STEP_OPTIONS + LOSS_OPTIONS

    @property
    def chosen_settings(self) -> dict[str, float]:
        """C and gamma of the kept candidate, gamma in units of ``scale``; given ones left out."""
        cost, gamma = self.settings[:2].tolist()
        found = {"cost": cost, "gamma": gamma / self._gamma_unit}
        return {
            name: float(f"{value:.4g}")  # float32 does not hold .3 exactly
            for name, value in found.items()
            if not getattr(self.options, name)
        }

    @property
    def _gamma_unit(self) -> float:
        """What scikit-learn's ``gamma=scale`` is: 1 / total variance of the scaled training clips.

        Each block of columns has variance 1, except a constant one: deviations of single tokens.
        """
        blocks = torch.split(self.factors, self.statistics.blocks)
        return 1 / max(sum(bool(block.any()) for block in blocks), 1)

    def path(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float]:
        """Yield a candidate for each pair of C and gamma."""
        self.typical.copy_(self.statistics.typical_spreads(self.pool(train)))
        return self._candidates(train, loss)

    def _candidates(self, train: Batch, loss: Loss) -> Iterator[float]:
        """Solve and load one candidate after another, and yield its loss on train."""
        self.factors.copy_(self.statistics.factors(self.pool(train), self.typical))
        unit = self._gamma_unit
        for gamma in [self.options.gamma] if self.options.gamma else GAMMAS:
            for cost in [self.options.cost] if self.options.cost else COSTS:
                self._solve(train, loss, cost, gamma * unit)
                with torch.no_grad():
                    yield loss(self(train), train.targets).item()

    def finish(self, train: Batch, loss: Loss) -> None:
        """Fit a temperature for each target of classes on inner folds of train."""
        cost, gamma = self.settings[:2].tolist()
        pooled, held_out = self.pool(train), dict[str, list[tuple[Tensor, Tensor]]]()
        for learnt, held in inner_folds(pooled):
            outer, inner = pooled.select(held), pooled.select(learnt)
            if not len(inner) or not self._has_classes(inner):
                continue
            machine = SvmHead(
                dict(zip(self.streams, self.statistics.dims, strict=True)), self.classes,
                options=self.options,
            )  # fmt: skip
            machine.typical.copy_(self.typical)
            machine._solve(inner, loss, cost, gamma, is_exact=bool(self.settings[2]))
            for target, logits in machine(outer).items():
                held_out.setdefault(target, []).append((logits, outer.targets[target]))
        for index, (target, count) in enumerate(self.classes.items()):
            if task_of(count) != "classify" or target not in held_out:
                continue
            logits, labels = (torch.cat(parts) for parts in zip(*held_out[target], strict=True))
            if bool((known := labels >= 0).any()):
                self.calibration[index] = fit_temperature(logits[known], labels[known])

    def refit(self, train: Batch, loss: Loss) -> None:
        """Solve again with the same C and gamma; temperatures stay."""
        cost, gamma = self.settings[:2].tolist()
        self._solve(train, loss, cost, gamma, is_exact=bool(self.settings[2]))

    @torch.no_grad()
    def _solve(
        self, train: Batch, loss: Loss, cost: float, gamma: float, is_exact: bool | None = None
    ) -> None:
        """Solve the machines of all targets and keep their vectors.

        Raises:
            FitError: the labelled clips of a target are all of one class.
        """
        if is_exact is None:
            is_auto = self.options.solver == "auto"
            is_exact = len(train) <= MOST_EXACT if is_auto else self.options.solver == "exact"
        self.factors.copy_(self.statistics.factors(self.pool(train), self.typical))
        rows = self._rows(train)
        scaled = rows * self.factors
        if is_exact:
            found = [
                self._exact(scaled, train.targets[target], target, cost, gamma)
                for target in self.classes
            ]
        else:
            with torch.enable_grad():
                found = [self._landmarks(scaled, train, loss, cost, gamma)]
        kept = torch.tensor(sorted({row for one in found for row in one.rows.tolist()}))
        coefficients = []
        for one in found:
            spread = torch.zeros(len(one.coefficients), len(kept))
            spread[:, torch.searchsorted(kept, one.rows)] = one.coefficients
            coefficients.append(spread)
        for index, part in enumerate(torch.split(rows[kept], self.statistics.blocks, dim=1)):
            self.register_buffer(f"vectors_{index}", part.clone())
        self.register_buffer("coefficients", torch.cat(coefficients))
        self.register_buffer("intercepts", torch.cat([one.intercepts for one in found]))
        self.settings.copy_(torch.tensor([cost, gamma, float(is_exact)]))
        self.calibration.fill_(1)

    def _exact(
        self, rows: Tensor, labels: Tensor, target: str, cost: float, gamma: float
    ) -> KernelMachine:
        """Solve one target on its labelled clips, given scaled rows (N, D)."""
        known = known_rows(labels).nonzero().squeeze(1)
        if not is_classes(labels):
            found = solve_numbers(rows[known], labels[known], cost=cost, gamma=gamma)
        elif len(set(labels[known].tolist())) < 2:
            raise FitError(
                f"svm: expected at least two classes of {target} among the training clips, found "
                "one; check the label and split columns"
            )
        else:
            classes = self.classes[target]
            found = solve_classes(rows[known], labels[known], classes, cost=cost, gamma=gamma)
        return KernelMachine(known[found.rows], found.coefficients, found.intercepts)

    def _landmarks(
        self, rows: Tensor, train: Batch, loss: Loss, cost: float, gamma: float
    ) -> KernelMachine:
        """Solve all targets together on Nyström's features, given scaled rows (N, D)."""
        outputs = self._outputs(False)

        def of_logits(logits: Tensor) -> Tensor:
            parts = torch.split(logits, outputs, dim=-1)
            return loss(dict(zip(self.classes, parts, strict=True)), train.targets)

        return solve_landmarks(
            rows, of_logits, outputs=sum(outputs), landmarks=self.options.landmarks,
            cost=cost, gamma=gamma,
        )  # fmt: skip

    def _has_classes(self, batch: Batch) -> bool:
        """Return whether each target of classes has at least two among some clips."""
        labels = [
            batch.targets[name] for name, c in self.classes.items() if task_of(c) == "classify"
        ]
        return all(len(set(each[each >= 0].tolist())) > 1 for each in labels)

    def _outputs(self, is_exact: bool) -> list[int]:
        """Return the number of decision values of each target: pairs of classes, or classes."""
        counts = self.classes.values()
        is_paired = [is_exact and task_of(count) == "classify" for count in counts]
        return [
            count * (count - 1) // 2 if paired else int(count)
            for count, paired in zip(counts, is_paired, strict=True)
        ]

    def _vectors(self) -> list[Tensor]:
        """Return the vectors, as the run scales streams: a block of columns (n, D) each."""
        return [self.get_buffer(f"vectors_{k}") for k in range(len(self.statistics.blocks))]

    def _rows(self, batch: Batch) -> Tensor:
        """Return the statistics of clips before they are multiplied by factors, float32 (N, D)."""
        return self.statistics.rows(self.pool(batch), self.typical)


def _logits(decisions: Tensor, count: int, is_exact: bool) -> Tensor:
    """Return logits (N, C) of one target from its decision values."""
    is_voted = is_exact and task_of(count) == "classify"
    return vote(decisions, count) if is_voted else decisions


def _fit_shapes(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Give the head as many vectors as the weights have, which only a fit tells.

    Raises:
        ValueError: the weights do not belong together.
    """
    assert isinstance(module, SvmHead)
    names = [f"vectors_{k}" for k in range(len(module.statistics.blocks))]
    found = {name: state[prefix + name] for name in (*names, "coefficients", "intercepts")}
    count, outputs = len(found[names[0]]), len(found["intercepts"])
    expected: dict[str, tuple[int, ...]] = {
        name: (count, width) for name, width in zip(names, module.statistics.blocks, strict=True)
    }
    expected |= {"coefficients": (outputs, count), "intercepts": (outputs,)}
    is_exact = bool(state[prefix + "settings"].flatten()[-1])
    is_right = outputs == sum(module._outputs(is_exact)) and all(
        tuple(found[name].shape) == shape for name, shape in expected.items()
    )
    if not is_right:
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        raise ValueError(f"svm: vectors and coefficients do not belong together: {shapes}")
    for name, shape in expected.items():
        module.register_buffer(name, torch.zeros(shape))
