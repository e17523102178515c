"""The training clips as a data set of torch, and the order in which the Trainer reads them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from emo.extract.backbone import Inputs
from emo.extract.backbones.inputs import InputsReader
from emo.heads.head import Batch

PADDING = -100
"""Label of the rows that fill the last batch; no loss is computed on them."""


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """N clips: what the backbones read, the scaled tokens of frozen streams, and the labels."""

    ids: tuple[str, ...]
    """Ids of the clips."""
    pieces: Mapping[str, Sequence[Sequence[Inputs]]]
    """By recipe, for each clip the inputs of its stretches."""
    frozen: Batch
    """Scaled tokens of the streams that are read from stores, and labels by target."""
    step: tuple[int, ...] = ()
    """Row of the first clip, which seeds mixup and masks besides the seed and the step."""


class TrainClips(Dataset[int]):
    """Rows of the training clips, and the reading of their inputs.

    Items are numbers of rows; rows beyond the clips are padding. :meth:`collate` reads the inputs,
    in the processes that load data if there are any.
    """

    def __init__(
        self,
        ids: Sequence[str],
        readers: Mapping[str, InputsReader],
        frozen: Batch,
        multiple: int,
    ) -> None:
        """Pad the clips to a whole number of steps.

        Args:
            ids: ids of the N clips.
            readers: reader of each backbone's inputs.
            frozen: tokens of frozen streams and labels of the same clips.
            multiple: clips of one step on all devices.
        """
        self.ids, self.readers, self.frozen = tuple(ids), readers, frozen
        self._length = -(-len(ids) // multiple) * multiple

    def __len__(self) -> int:
        """Return the number of rows, padding included."""
        return self._length

    def __getitem__(self, row: int) -> int:
        """Return the row; :meth:`collate` reads what is in it."""
        return int(row)

    def collate(self, rows: Sequence[int]) -> dict[str, object]:
        """Return a batch; ``labels`` stand first, where Trainer and accelerate look for its size.

        Padding rows are only counted: no clip of theirs is read.
        """
        real = [row for row in rows if row < len(self.ids)]
        labels = torch.tensor([0 if row < len(self.ids) else PADDING for row in rows])
        return {"labels": labels, "clips": self.batch(real)}

    def batch(self, rows: Sequence[int]) -> ClipBatch:
        """Read the inputs of some rows."""
        ids = tuple(self.ids[row] for row in rows)
        pieces = {
            recipe: [[piece.inputs for piece in reader.read(clip)] for clip in ids]
            for recipe, reader in self.readers.items()
        }
        return ClipBatch(ids, pieces, select(self.frozen, rows), tuple(rows[:1]))


def select(batch: Batch, rows: Sequence[int]) -> Batch:
    """Return some clips of a batch that may have labels alone and no stream."""
    if batch.streams:
        return batch.select(np.asarray(rows, dtype=np.int64))
    index = torch.tensor(list(rows), dtype=torch.int64)
    return Batch({}, targets={name: labels[index] for name, labels in batch.targets.items()})


class EpochOrder(Sampler[int]):
    """A new order of the clips in each epoch, from the seed alone; padding stands at the end."""

    def __init__(self, clips: int, length: int, seed: int) -> None:
        """Begin with epoch 0.

        Args:
            clips: number of clips.
            length: number of rows, padding included.
            seed: seed of the orders.
        """
        self._clips, self._length, self._seed = clips, length, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Use the order of an epoch; accelerate calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._length

    def __iter__(self) -> Iterator[int]:
        """Iterate over the rows of the epoch."""
        order = np.random.default_rng([self._seed, self.epoch]).permutation(self._clips)
        yield from order.tolist()
        yield from range(self._clips, self._length)
