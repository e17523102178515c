"""The training loop: rounds of gradient steps or of a solver; the best round on ``val`` is kept."""

import contextlib
from collections.abc import Callable, Iterator

import torch

from emo.errors import FitError
from emo.heads.head import Batch, Head
from emo.heads.options import LoopOptions
from emo.heads.training.checkpoint import Checkpoints, RunningSeed
from emo.heads.training.losses import make_loss
from emo.heads.training.outcome import Outcome, Round
from emo.heads.training.rounds import BestRound
from emo.heads.training.solve import solve_head, without_others
from emo.heads.training.steps import Steps
from emo.machine.memory import keep_freed_memory

KEPT_BYTES = 2**28
"""Freed memory that a process keeps while it trains: that of a step."""


def train_head(
    build: Callable[[], Head],
    train: Batch,
    val: Batch,
    options: LoopOptions,
    *,
    seed: int,
    on_round: Callable[[Round], None] = lambda _: None,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Train one head; the same seed and number of threads give the same bits.

    Args:
        build: makes the untrained head; called after the seed is set.
        train: pooled training clips with labels.
        val: pooled clips with labels, on which the best round is chosen.
        options: options of the training loop.
        seed: seed of initial weights, order of clips and dropout.
        on_round: called after each round, for instance by a progress bar.
        checkpoints: where the state of gradient steps is written, and read to continue an
            interrupted fit; None: nowhere.

    Raises:
        DivergedError: a loss or a weight is not finite.
    """
    keep_freed_memory(KEPT_BYTES)
    with _seeded(seed):
        head = build()
        loss = make_loss(train, options)
        solved = head.path(train, without_others(train, val), loss)
        if solved is not None:
            return solve_head(
                build, head, train, val, options, seed=seed, solved=solved, on_round=on_round
            )
        if options.refit:
            raise FitError(
                "--refit: this head is trained by steps; only a head that a solver solves can be "
                "refit on train and val. Leave --refit out."
            )
        steps = Steps(head, train, loss, options, seed=seed)
        best = BestRound(
            head, val, seed, patience=options.patience, learning_rate=options.learning_rate,
            choose_by=options.choose_by,
        )  # fmt: skip
        earlier = checkpoints.read_running(seed) if checkpoints else None
        if earlier is not None:
            steps.load(earlier.tensors, earlier.state_json)
            best.history, best.state = list(earlier.history), earlier.best

        def after_round(found: Round) -> None:
            on_round(found)
            if checkpoints is not None:
                running = RunningSeed(*steps.state(), best.state, tuple(best.history))
                checkpoints.write_running(seed, running)

        epochs = (steps.epoch() for _ in range(options.epochs - len(best.history)))
        best.run(epochs, after_round)
    return Outcome(seed, best.state, tuple(best.history), is_exact=False)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator inside the block, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
