"""The Head contract: a small trained model that maps a Batch of cached tokens to logits."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from emo.heads.labels import Task, Width, task_of
from emo.ragged import Ragged

__all__ = ["LIBRARY", "Batch", "Head", "Loss", "Task", "Width", "task_of"]
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
    """One row a clip (or a pair): ``(rows,)`` int64 classes, -1: unlabelled; several at once:
    ``(rows, C)`` int64 0 and 1, unlabelled rows all -1; a number: ``(rows,)`` float32, NaN."""
    pair_targets: frozenset[str] = frozenset()
    """Those of the targets whose rows are pairs; their class 0 means no pair."""

    def __len__(self) -> int:
        """Number of clips N."""
        return len(next(iter(self.streams.values())))

    def select(self, clips: Sequence[int] | np.ndarray | Tensor) -> "Batch":
        """The given clips, in this order; dialogues and pairs are dropped."""
        index = np.asarray(clips, dtype=np.int64)
        return Batch(
            {name: tokens.select(index) for name, tokens in self.streams.items()},
            targets={
                name: rows[torch.from_numpy(index)]
                for name, rows in self.targets.items()
                if name not in self.pair_targets
            },
        )

    def in_dialogues(self) -> "Batch":
        """Itself; where nothing is said about dialogues, each clip is its own."""
        if self.turns is not None:
            return self
        return replace(self, turns=torch.arange(len(self))[:, None])

    def rows_of(self, dialogues: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Rows (n,) of the clips of these dialogues, in their order, and (p,) of their pairs."""
        turns = self._turns(dialogues)
        rows = turns[turns >= 0]
        if self.pairs is None:
            return rows, rows.new_zeros(0)
        is_chosen = torch.zeros(len(self), dtype=torch.bool)
        is_chosen[rows] = True
        return rows, is_chosen[self.pairs[:, 0]].nonzero().squeeze(1)

    def select_dialogues(self, dialogues: Sequence[int] | np.ndarray) -> "Batch":
        """The clips of these dialogues, turn after turn, with their pairs."""
        turns = self._turns(dialogues)
        rows, chosen = self.rows_of(dialogues)
        new_row = torch.full((len(self),), -1)
        new_row[rows] = torch.arange(len(rows))
        pairs = None if self.pairs is None else new_row[self.pairs[chosen]]
        of_pairs = {name: self.targets[name][chosen] for name in self.pair_targets}
        found = self.select(rows)
        return replace(
            found,
            turns=torch.where(turns >= 0, new_row[turns], -1),
            pairs=pairs,
            targets={name: {**found.targets, **of_pairs}[name] for name in self.targets},
            pair_targets=self.pair_targets,
        )

    def _turns(self, dialogues: Sequence[int] | np.ndarray) -> Tensor:
        """(g, U) rows of these dialogues, as wide as the longest."""
        assert self.turns is not None
        turns = self.turns[torch.as_tensor(np.asarray(dialogues, dtype=np.int64))]
        return turns[:, : int((turns >= 0).sum(1).max())]


Loss = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]
"""(logits, targets) by target -> the mean loss that is being minimised, a scalar."""


class Head(nn.Module, ABC):
    """Maps a Batch to ``{target: logits (rows, C)}``; a clip's logits depend on that clip alone
    (in dialogue heads: on its dialogue alone).
    """

    pair_targets: frozenset[str] = frozenset()
    """Targets whose logits have a row for each of ``batch.pairs``."""
    unit: ClassVar[Literal["clip", "dialogue"]] = "clip"
    """What is kept together in a batch; ``dialogue`` heads may read all turns of a dialogue."""
    tasks: ClassVar[tuple[Task, ...]] = ("classify", "multilabel", "regress")
    """The kinds of targets that it serves."""
    of_streams: ClassVar[str] = ""
    """Where its ``nn.ModuleList`` with one module for each stream is, in the order of ``dims``;
    these can start with the weights of other runs. Empty: it has none."""
    joins_streams: ClassVar[bool] = False
    """:meth:`pool` makes one stream of all, so that none can be dropped or masked in training."""
    renamed_weights: ClassVar[Mapping[str, str]] = {}
    """Old name -> new name of weights that were renamed, so that older runs can still be read."""
    streams: tuple[str, ...]
    """The names of the streams it reads, in the order of ``dims``."""
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
            classes: C of each target; see :class:`Width` for targets that are not classes.
            options: an instance of ``Options``.
        """
        super().__init__()
        self.streams = tuple(dims)
        self.pair_targets = frozenset(name for name, c in classes.items() if task_of(c) == "pairs")

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Logits (rows, C) of each target; absent streams count as zeros after scaling."""

    def pool(self, batch: Batch) -> Batch:
        """Do once, before training, what needs no weights; by default nothing.

        ``forward(pool(batch))`` equals ``forward(batch)``, and pooling twice changes nothing.
        A head that reads only the mean of its tokens trains 16 to 100 times faster so.
        """
        return batch

    @property
    def is_solved(self) -> bool:
        """:meth:`path` finds the weights exactly: no seed, step or epoch has a part in them."""
        return False

    @classmethod
    def unread(cls, options: Any, *, streams: int) -> tuple[str, ...]:
        """Fields of :class:`emo.heads.options.LoopOptions` that change nothing; by default none.

        Args:
            options: an instance of ``Options``; what they choose as a solver is their ``solver``.
            streams: how many are read.
        """
        return ()

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
