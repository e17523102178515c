"""The Dataset contract: reads a download in its published layout as the rows of a manifest.

A new data set is one file in ``emo/datasets/library/`` with one public subclass. It names the
media that its tables (or its rules for file names) call for and need not look whether they are
there: :mod:`emo.datasets.check_media` does that for all.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.plugins import NoOptions

Row = dict[str, str]
"""Column -> cell; columns as in a manifest, paths relative to the download's folder."""
Stated = Mapping[str, Mapping[str, int]]
"""What the authors count: ``{"clips": {"train": 9989}, "label": {"joy": 2308}}``. The keys of
``clips``, ``dialogues``, ``speakers`` and ``pairs`` are splits or ``all``; any other key is a
column, and the keys below it are its classes."""


@dataclass(frozen=True)
class DatasetCard:
    """What a person wants to know before downloading."""

    title: str
    where: str
    """Where to get it."""
    licence: str
    source: str
    """The paper that states the numbers."""
    layout: str
    """The files that are looked for; shown when a folder holds none of them."""
    faults: tuple[str, ...] = ()
    """What is known to be wrong with the published files."""


@dataclass(frozen=True)
class Download:
    """What a folder holds of a data set."""

    rows: list[Row]
    """One a clip. A path names the file that should be there."""
    paths: tuple[str, ...] = ("video", "audio")
    """Columns of paths."""
    missing: tuple[str, ...] = ()
    """What the data set has and the folder lacks, besides files that ``rows`` name."""
    tolerated: frozenset[str] = frozenset()
    """Paths that are missing or broken in the published files too: the row stays without."""
    left_out: Mapping[str, list[str]] = field(default_factory=dict)
    """Media that no row names on purpose: why -> paths."""
    notes: tuple[str, ...] = ()
    """Lines for the person who reads the report."""


def not_here(card: DatasetCard, tree: Tree) -> DatasetError:
    """The error for a folder that holds nothing of the data set."""
    return DatasetError(
        f"{tree.root}: nothing of {card.title} is here; looked for {card.layout}. "
        f"Where to get it: {card.where}"
    )


class Dataset(ABC):
    """A published data set."""

    Options: ClassVar[type] = NoOptions
    """A frozen dataclass; each field has a default and ``metadata={"help": "…"}``."""
    card: ClassVar[DatasetCard]

    @classmethod
    @abstractmethod
    def stated(cls, options: Any) -> Stated:
        """What the authors say that a complete download holds."""

    @classmethod
    @abstractmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """The rows that the folder's tables or file names tell; opens no media.

        Raises:
            DatasetError: the folder holds nothing of this data set, or a table is not as published.
        """
