"""The Head contract: a small trained model that maps a Batch of cached tokens to logits.

A new head is one file in ``emo/heads/library/`` with one public subclass. A fit calls, in this
order and nothing else::

    options = plugins.parse_options(MyHead.Options, {"hidden": "8"}, "mine")
    unused = MyHead.unused_options(options, streams=1)  # checks of what was typed
    head = MyHead({"classic/audio": 88}, {"emotion": 7}, options=options)  # after the seed is set
    train, val = head.pool(train), head.pool(val)       # once: what needs no weights
    losses = head.path(train, val, loss)                # an exact solver; None: gradient steps
    logits = head(batch)["emotion"]                     # (N, C) in each step, on val and test

A head must implement at least ``Options``, ``__init__`` and ``forward``. This one is complete:

    >>> from emo.plugins import NoOptions
    >>> class MeanProbe(Head):
    ...     Options = NoOptions
    ...     def __init__(self, dims, classes, *, options):
    ...         super().__init__(dims, classes, options=options)
    ...         self.classes = dict(classes)
    ...         self.linear = nn.Linear(sum(dims.values()), sum(classes.values()))
    ...     def forward(self, batch):
    ...         means = [torch.stack([clip.sum(0) / max(len(clip), 1) for clip in batch.streams[s]])
    ...                  for s in self.streams]                         # each float32 (N, D)
    ...         logits = self.linear(torch.cat(means, dim=1))           # float32 (N, sum of C)
    ...         return dict(zip(self.classes, logits.split([*self.classes.values()], dim=1)))
    >>> tokens = Ragged(torch.ones(5, 88), torch.tensor([0, 2, 5]))     # two clips, T = 2 and 3
    >>> head = MeanProbe({"classic/audio": 88}, {"emotion": 7}, options=NoOptions())
    >>> head(Batch({"classic/audio": tokens}))["emotion"].shape
    torch.Size([2, 7])
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from emo.heads.labels import Task, Width, task_of
from emo.ragged import Ragged

__all__ = ["Batch", "Head", "Loss", "Task", "Width", "task_of"]
TEMPERATURE = "temperature"
"""Name of the buffer, float32 (targets,), in which a head keeps temperatures that it fitted on val;
a run has a note on them."""


@dataclass(frozen=True, eq=False)
class Batch:
    """N clips: their tokens in every stream, their dialogues and their labels; without padding."""

    streams: dict[str, Ragged]
    """Scaled tokens by stream, such as ``{"classic/audio": Ragged}``: float32 (ΣT, D) and int64
    (N+1,), both torch. A clip that lacks the stream has length 0."""
    turns: Tensor | None = None
    """int64 (G, U): ``turns[g, u]`` is the row of turn u of dialogue g, -1 past its end. None:
    nothing is known about dialogues."""
    pairs: Tensor | None = None
    """int64 (P, 2): the rows (emotion turn, cause turn) of every pair within a dialogue."""
    targets: dict[str, Tensor] = field(default_factory=dict)
    """Labels by target, one row for each clip, or for each pair of a pair target:

    - one class: int64 (rows,), -1 where unlabelled;
    - several labels at once: int64 (rows, C) of 0 and 1, all -1 where unlabelled;
    - a number: float32 (rows,), NaN where unlabelled.
    """
    pair_targets: frozenset[str] = frozenset()
    """Names of the targets whose rows are pairs; class 0 of such a target means "no pair"."""
    groups: Tensor | None = None
    """int64 (N,): group of each clip, such as its speaker; inner folds keep the clips of a group
    together. None: no groups are known."""
    group_kind: str = "clips"
    """Word for ``groups`` in plural, such as ``speakers``."""

    def __len__(self) -> int:
        """Number of clips N."""
        return len(next(iter(self.streams.values())))

    def select(self, clips: Sequence[int] | np.ndarray | Tensor) -> "Batch":
        """Return a batch of the given clips, in this order, without dialogues and pairs.

        Args:
            clips: int64 (n,) rows of this batch.
        """
        index = np.asarray(clips, dtype=np.int64)
        return Batch(
            {name: tokens.select(index) for name, tokens in self.streams.items()},
            targets={
                name: rows[torch.from_numpy(index)]
                for name, rows in self.targets.items()
                if name not in self.pair_targets
            },
            groups=None if self.groups is None else self.groups[torch.from_numpy(index)],
            group_kind=self.group_kind,
        )

    def in_dialogues(self) -> "Batch":
        """Return this batch; if it has no ``turns``, make each clip a dialogue of its own."""
        if self.turns is not None:
            return self
        return replace(self, turns=torch.arange(len(self))[:, None])

    def rows_of(self, dialogues: Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Return where the clips and the pairs of some dialogues are.

        Args:
            dialogues: int64 (g,) indices into the first axis of ``turns``.

        Returns:
            int64 (n,) rows of the clips, dialogue after dialogue and turn after turn; and int64
            (p,) rows of ``pairs``.
        """
        turns = self._turns(dialogues)
        rows = turns[turns >= 0]
        if self.pairs is None:
            return rows, rows.new_zeros(0)
        is_chosen = torch.zeros(len(self), dtype=torch.bool)
        is_chosen[rows] = True
        return rows, is_chosen[self.pairs[:, 0]].nonzero().squeeze(1)

    def select_dialogues(self, dialogues: Sequence[int] | np.ndarray) -> "Batch":
        """Return a batch of the clips of some dialogues, turn after turn, with their pairs.

        Args:
            dialogues: int64 (g,) indices into the first axis of ``turns``.
        """
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
        """Return ``turns`` of some dialogues: int64 (g, U), U being the longest of them."""
        assert self.turns is not None
        turns = self.turns[torch.as_tensor(np.asarray(dialogues, dtype=np.int64))]
        return turns[:, : int((turns >= 0).sum(1).max())]


Loss = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]
"""A function of (logits by target, labels by target) that returns the loss to minimise: a float32
scalar, the mean over labelled rows. Logits of p models on the same rows, (p, N, C), give p losses,
float32 (p,)."""


class Head(nn.Module, ABC):
    """A small trained model that maps a Batch to ``{target: logits (rows, C)}``.

    A clip's logits depend on that clip alone; those of a dialogue head on its dialogue alone.
    """

    pair_targets: frozenset[str] = frozenset()
    """Names of the targets whose logits have one row for each row of ``batch.pairs``."""
    unit: ClassVar[Literal["clip", "dialogue"]] = "clip"
    """What a batch keeps together; a ``dialogue`` head may read all turns of a dialogue."""
    tasks: ClassVar[tuple[Task, ...]] = ("classify", "multilabel", "regress")
    """Kinds of targets that the head can predict."""
    stream_modules: ClassVar[str] = ""
    """Name of the ``nn.ModuleList`` that holds one module for each stream, in the order of
    ``dims``; ``--init`` fills these with the weights of other runs. Empty: there is none."""
    pools_apart: ClassVar[bool] = False
    """True: :meth:`pool` changes each stream by itself and keeps its name, so that tokens which
    many rows share (``--stream R/S@COLUMN``) are pooled once. False: they are not pooled before
    training, and ``forward`` gets the tokens as they are."""
    joins_streams: ClassVar[bool] = False
    """True: :meth:`pool` makes one stream of all, so that no stream can be dropped or masked
    while training."""
    renamed_weights: ClassVar[Mapping[str, str]] = {}
    """Old name -> new name of renamed weights, so that older runs can still be read."""
    streams: tuple[str, ...]
    """Names of the streams that the head reads, in the order of ``dims``."""
    is_trial: bool = False
    """Whether the candidates of :meth:`path` are only compared with one another, on inner folds,
    and none is kept: a solver may stop sooner."""
    can_refit: ClassVar[bool] = False
    """Whether :meth:`refit` solves the kept candidate again on other clips."""
    Options: ClassVar[type]
    """Frozen dataclass of the head's options; each field has a default and
    ``metadata={"help": "…"}``, and ``"range": (low, high)`` where a number is bounded."""

    @abstractmethod
    def __init__(
        self, dims: Mapping[str, int], classes: Mapping[str, int], *, options: Any
    ) -> None:
        """Build the layers.

        Args:
            dims: width D of each stream's tokens.
            classes: C of each target; a :class:`Width` where the target is not one class a clip.
            options: an instance of ``Options``.
        """
        super().__init__()
        self.streams = tuple(dims)
        self.pair_targets = frozenset(name for name, c in classes.items() if task_of(c) == "pairs")

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits, float32 (rows, C), for each target.

        Args:
            batch: N clips, pooled or not. An absent stream counts as zeros after scaling.

        Returns:
            One row for each clip, or for each of ``batch.pairs`` for a pair target.
        """

    def pool(self, batch: Batch) -> Batch:
        """Do once, before training, the work that needs no weights; by default nothing.

        ``forward(pool(batch))`` equals ``forward(batch)``, and pooling twice changes nothing.
        A head that reads only the mean of its tokens trains 16 to 100 times faster this way.
        """
        return batch

    @property
    def is_solved(self) -> bool:
        """Whether :meth:`path` finds the weights exactly, so that seeds and steps do not matter."""
        return False

    @property
    def read_streams(self) -> tuple[str, ...]:
        """Streams on which the logits depend; by default all. A fit may have chosen one of them,
        and what a clip lacks of the others changes nothing."""
        return self.streams

    @classmethod
    def unused_options(cls, options: Any, *, streams: int) -> tuple[str, ...]:
        """Return the fields of ``LoopOptions`` that change nothing; by default none.

        A head that returns any has an option ``solver``, which the error message names.

        Args:
            options: an instance of ``Options``.
            streams: number of streams that the head reads.
        """
        return ()

    def path(self, train: Batch, val: Batch, loss: Loss) -> Iterator[float] | None:
        """Return candidates that an exact solver found; None (the default): use gradient steps.

        The iterator yields training losses. After each of them the head holds the weights of one
        candidate, and the fit keeps the candidate that is best on ``val``. The weights must not
        depend on a seed.

        Args:
            train: pooled training clips with their labels.
            val: pooled clips, on which the head may choose between its solutions.
            loss: what to minimise, without the solver's own penalty.
        """
        return None

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the ways to join streams between which the fit chooses by the score on val.

        Of equal scores the first way is chosen. Empty (the default): there is nothing to choose.
        Otherwise :meth:`path` gives candidates of each, and :attr:`variant` names that of the
        candidate which the head holds.
        """
        return ()

    @property
    def variant(self) -> str:
        """Name of the way in which the candidate that the head holds joins the streams.

        It is one of :attr:`variants`; empty (the default): there is nothing to choose.
        """
        return ""

    @property
    def chosen_settings(self) -> dict[str, float]:
        """Options of the candidate that the head holds, which the fit chose by the score on val.

        Empty (the default): there are none, or they were all given.
        """
        return {}

    def finish(self, train: Batch, loss: Loss) -> None:
        """Do what only the kept candidate needs, such as calibration; by default nothing.

        The head holds the weights that the fit kept. Predicted classes must not change.

        Args:
            train: pooled training clips with their labels.
            loss: what was minimised.
        """

    def refit(self, train: Batch, loss: Loss) -> None:
        """Solve the candidate that the head holds again on other clips, with the same settings.

        Only called where :attr:`can_refit` is True, for ``--refit``.

        Args:
            train: pooled clips of train and val with their labels.
            loss: what to minimise.
        """
        raise NotImplementedError
