"""The Dataset contract: read a download in its published layout as the rows of a manifest.

A new data set is one file in a sub-folder of ``emo/datasets/library/`` with one public subclass.
`emo dataset` makes these calls, in this order and nothing else::

    options = plugins.parse_options(MyData.Options, {"channel": "song"}, "mine")
    tree = list_tree(folder)  # the names of all files below
    stated = MyData.stated(options)  # the counts of a complete download
    download = MyData.read(tree, options)  # reads tables and file names, opens no media

The rows name the media that should be there by the tables, or by the rules for file names;
:mod:`emo.datasets.check_media` then checks for all data sets whether they are.

A data set must implement at least ``card``, ``stated`` and ``read``. This one is complete:

>>> class Toy(Dataset):
...     card = DatasetCard("Toy", "example.org", "CC0", source="–", layout="labels.csv and wav/")
...
...     @classmethod
...     def stated(cls, options):
...         return {"clips": {"all": 1200}, "label": {"joy": 700, "anger": 500}}
...
...     @classmethod
...     def read(cls, tree, options):
...         table = tree.find("labels.csv")
...         if table is None:
...             raise not_here(cls.card, tree)
...         lines = tree.records(table, ["name", "emotion"])
...         return Download([{"audio": f"wav/{x['name']}", "label": x["emotion"]} for x in lines])

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from emo.datasets.tree import list_tree
>>> with TemporaryDirectory() as folder:
...     bytes_written = Path(folder, "labels.csv").write_text("name,emotion\\na.wav,joy\\n")
...     print(Toy.read(list_tree(Path(folder)), None).rows)
[{'audio': 'wav/a.wav', 'label': 'joy'}]
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.plugins import NoOptions

Row = dict[str, str]
"""One clip: column -> cell; columns as in a manifest, paths relative to the download's folder."""
Stated = Mapping[str, Mapping[str, int]]
"""Counts that the authors state, such as ``{"clips": {"train": 9989}, "label": {"joy": 2308}}``.

``clips``, ``dialogues``, ``speakers`` and ``pairs`` are counted by split, or for ``all``; every
other key is a column, counted by class.
"""


@dataclass(frozen=True)
class DatasetCard:
    """Facts about a data set that help to decide whether to download it."""

    title: str
    where: str
    """Where the data set can be downloaded."""
    licence: str
    source: str
    """The paper that states the counts."""
    layout: str
    """Description of the files that are looked for, shown when a folder has none of them."""
    faults: tuple[str, ...] = ()
    """Known errors of the published files, and warnings."""


@dataclass(frozen=True)
class Download:
    """Contents of a download: a row for each clip, and what is missing."""

    rows: list[Row]
    """A row for each clip; a path names the file that should be there, whether it is or not."""
    paths: tuple[str, ...] = ("video", "audio")
    """Columns of ``rows`` that hold paths of files."""
    missing: tuple[str, ...] = ()
    """Names of what the folder lacks, such as tables; files that ``rows`` name are checked later.
    """
    tolerated: frozenset[str] = frozenset()
    """Paths that are missing or broken in the published files, too: a row is kept without such a
    file."""
    left_out: Mapping[str, list[str]] = field(default_factory=dict)
    """Reason -> paths of media that no row names on purpose."""
    notes: tuple[str, ...] = ()
    """Lines for people, shown in the report."""
    is_written: bool = False
    """Whether ``read`` wrote media into the folder, as an option told it to; the folder is then
    listed again."""


def not_here(card: DatasetCard, tree: Tree) -> DatasetError:
    """Return the error for a folder that holds no file of the data set."""
    return DatasetError(
        f"{tree.root}: no file of {card.title} is here; looked for {card.layout}. "
        f"Where to get it: {card.where}"
    )


class Dataset(ABC):
    """Reader of one published data set; it has class methods only and is not instantiated."""

    Options: ClassVar[type] = NoOptions
    """Frozen dataclass of options; each field has a default and ``metadata={"help": "…"}``."""
    card: ClassVar[DatasetCard]
    """Facts about the data set for people."""
    has_labels: ClassVar[bool] = True
    """Whether its clips have classes or numbers; False: they have captions or questions."""

    @classmethod
    @abstractmethod
    def stated(cls, options: Any) -> Stated:
        """Return the counts that the authors state for a complete download.

        Args:
            options: an instance of ``Options``.
        """

    @classmethod
    @abstractmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read the rows from tables or file names, without opening media.

        Nothing is written unless an option asks for it, see ``Download.is_written``.

        Args:
            tree: the names of all files of the download.
            options: an instance of ``Options``.

        Raises:
            DatasetError: the folder holds no file of the data set, or a table is not as published.
        """
