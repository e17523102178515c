"""Inner folds: clips for training in parts, each held out once, to choose or to calibrate by them.

A fold holds whole groups, such as speakers, wherever clips have groups. No clip of test is in one.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from emo.heads.head import Batch
from emo.heads.labels import is_classes
from emo.ragged import Ragged

INNER_FOLDS = 5
"""Number of inner folds; fewer where there are fewer groups."""


def join_batches(first: Batch, second: Batch) -> Batch:
    """Return the clips of two batches as one, without dialogues and pairs.

    Args:
        first: clips with labels of single clips, such as pooled ones of train.
        second: further clips with the same streams and targets.
    """
    streams = {
        name: _joined(tokens, second.streams[name]) for name, tokens in first.streams.items()
    }
    names = [name for name in first.targets if name not in first.pair_targets]
    targets = {name: torch.cat([first.targets[name], second.targets[name]]) for name in names}
    groups = None
    if first.groups is not None and second.groups is not None:
        groups = torch.cat([first.groups, second.groups])
    return Batch(streams, targets=targets, groups=groups, group_kind=first.group_kind)


def inner_folds(batch: Batch, folds: int = INNER_FOLDS) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows of each inner fold: int64 (n,) to train on, and int64 (m,) that are held out.

    Every clip is held out once. The folds have similar shares of the classes of the first target,
    and depend on no seed.

    Args:
        batch: clips with labels; those without any label stay in training.
        folds: largest number of folds.
    """
    fold = fold_numbers(batch, folds)
    for number in range(int(fold.max()) + 1):
        yield (fold != number).nonzero().squeeze(1), (fold == number).nonzero().squeeze(1)


def fold_numbers(batch: Batch, folds: int = INNER_FOLDS) -> Tensor:
    """Return the inner fold of each clip, int64 (N,), numbered from 0.

    Groups are placed from the largest to the smallest, each in the fold that has the fewest clips
    of its classes.

    Args:
        batch: clips with labels.
        folds: largest number of folds.
    """
    strata = _strata(next(iter(batch.targets.values())), len(batch), folds)
    groups = torch.arange(len(batch)) if batch.groups is None else batch.groups
    _, group = groups.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    count, classes = int(group.max()) + 1, int(strata.max()) + 1
    table = torch.zeros(count, classes, dtype=torch.float64)  # clips of each group and class
    table.index_put_((group, strata), torch.ones(len(batch), dtype=torch.float64), accumulate=True)
    shares = table / table.sum(0).clamp(min=1)
    held = torch.zeros(min(folds, count), classes, dtype=torch.float64)
    chosen = torch.zeros(count, dtype=torch.int64)
    for each in table.sum(1).argsort(descending=True, stable=True).tolist():
        ahead = held @ shares[each] + 1e-6 * held.sum(1)
        chosen[each] = int(ahead.argmin())
        held[chosen[each]] += shares[each]
    return chosen[group]


def _strata(labels: Tensor, clips: int, folds: int) -> Tensor:
    """Return the stratum of each clip, int64 (N,): its class, or which fifth its number is in."""
    if len(labels) != clips or labels.ndim > 1:
        return torch.zeros(clips, dtype=torch.int64)
    if is_classes(labels):
        return labels + 1  # 0: unlabelled
    ranks = labels.nan_to_num(0.0).argsort(stable=True).argsort(stable=True)
    return ranks * folds // max(clips, 1)


def _joined(first: Ragged, second: Ragged) -> Ragged:
    """Return the tokens of the clips of both, each with tokens of its own."""
    ours, theirs = (
        each if each.index is None else each.select(range(len(each))) for each in (first, second)
    )
    offsets = torch.cat([ours.offsets, theirs.offsets[1:] + ours.offsets[-1]])
    return Ragged(torch.cat([ours.values, theirs.values]), offsets)
