"""Forecast how long a fit takes: time two rounds on a few clips, and scale up."""

import time

import numpy as np

from emo.heads.data.data import Data
from emo.heads.fitting.request import Build, FitRequest
from emo.heads.head import Batch
from emo.heads.training.loop import train_head
from emo.heads.training.pooling import pool_batch

FORECAST_CLIPS = 128
"""Largest number of training clips that a probe reads."""
FORECAST_EPOCHS = 2
"""Epochs that are timed; the first epoch of a process, which is slower, comes before them."""


def forecast_minutes(request: FitRequest, data: Data) -> float:
    """Return how many minutes a fit takes at most, from a timed probe.

    The head is trained on at most ``FORECAST_CLIPS`` clips for ``FORECAST_EPOCHS`` epochs, or
    solved on them, with one seed. The time grows with clips, epochs, seeds and trials of a search.
    Early stopping and seeds that are fitted side by side make the true time shorter.

    Args:
        request: request of the run.
        data: clips of the fit.

    Raises:
        EmoError: the head cannot be trained on these clips.
    """
    options = request.options
    build = Build(request.kind, data.dims, data.widths, request.head_options, request.initial)
    head = build()
    train, val = (
        pool_batch(head, _some(data.splits[name].batch, request.kind.unit))
        for name in ("train", "val")
    )
    epochs = 1 if head.is_solved else FORECAST_EPOCHS
    for count in (1, epochs):
        loop = options.loop if head.is_solved else options.replace(epochs=count).loop
        started = time.monotonic()
        train_head(build, train, val, loop, seed=options.first_seed)
        seconds = time.monotonic() - started
    seen = sum(len(data.splits[name].batch) for name in ("train", "val"))
    growth = seen / (len(train) + len(val))
    rounds = 1.0 if head.is_solved else options.loop.epochs / epochs
    seeds = 1 if head.is_solved else options.seeds
    return seconds * growth * rounds * (seeds + options.search) / 60


def _some(batch: Batch, unit: str) -> Batch:
    """Return some clips of a batch, or the first dialogues with about as many clips."""
    if len(batch) <= FORECAST_CLIPS:
        return batch
    if unit == "clip" or batch.turns is None:
        return batch.select(np.linspace(0, len(batch) - 1, FORECAST_CLIPS).astype(np.int64))
    lengths = (batch.turns >= 0).sum(1).cumsum(0)
    return batch.select_dialogues(range(max(1, int((lengths <= FORECAST_CLIPS).sum()))))
