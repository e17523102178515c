"""The Head contract: a small trained model that maps a Batch of cached tokens to logits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from emo.ragged import Ragged

LIBRARY = "emo.heads.library"


@dataclass(frozen=True, eq=False)
class Batch:
    """N clips: their tokens in every stream, their dialogues, their targets. Flat, never padded."""

    streams: dict[str, Ragged]
    """``{"classic/audio": Ragged (ΣT, D) over N clips}``, torch float32, already scaled; a clip
    of length 0 has no such stream."""
    turns: Tensor | None = None
    """(G, U) int64: ``turns[g, u]`` is the row of turn u of dialogue g, -1 past its end."""
    pairs: Tensor | None = None
    """(P, 2) int64: rows (emotion turn, cause turn) of every pair within a dialogue."""
    targets: dict[str, Tensor] = field(default_factory=dict)
    """``{target: (rows,)}`` int64 classes, one row a clip (or a pair); -1: unlabelled."""

    def __len__(self) -> int:
        """Number of clips N."""
        return len(next(iter(self.streams.values())))

    def select(self, clips: Sequence[int] | np.ndarray | Tensor) -> "Batch":
        """The given clips, in this order; dialogues and pairs are dropped."""
        index = np.asarray(clips, dtype=np.int64)
        return Batch(
            {name: tokens.select(index) for name, tokens in self.streams.items()},
            targets={name: rows[torch.from_numpy(index)] for name, rows in self.targets.items()},
        )


Loss = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]
"""(logits, targets) by target -> the mean loss that is being minimised, a scalar."""


class Head(nn.Module, ABC):
    """Maps a Batch to ``{target: logits (rows, C)}``; a clip's logits depend on that clip alone
    (in dialogue heads: on its dialogue alone).
    """

    Options: ClassVar[type]
    """A frozen dataclass of the architecture's options; each field has a default and
    ``metadata={"help": "…"}``."""

    @abstractmethod
    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: Any
    ) -> None:
        """Build the layers.

        Args:
            dims: D of each stream.
            classes: C of each target.
            options: an instance of ``Options``.
        """
        super().__init__()

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Logits (rows, C) of each target; absent streams count as zeros after scaling."""

    def pool(self, batch: Batch) -> Batch:
        """Do once, before training, what needs no weights; by default nothing.

        ``forward(pool(batch))`` equals ``forward(batch)``, and pooling twice changes nothing.
        A head that reads only the mean of its tokens trains 16 to 100 times faster so.
        """
        return batch

    def path(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float] | None:
        """Candidates found by an exact solver; None (the default): gradient steps instead.

        After each yield of a training loss the head holds the next candidate's weights, and
        ``fit`` keeps the one that is best on ``val``. They must not depend on a seed.

        Args:
            train: the pooled training clips with their targets.
            val: those on which the head may choose among what it solved.
            loss: what to minimise, without the solver's own penalty.
        """
        return None
