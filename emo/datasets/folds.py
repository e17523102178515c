"""Read official folds: a list of test clips and of train clips for each of five folds."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from emo.datasets.dataset import DatasetCard, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError

FOLDS = ("1", "2", "3", "4", "5")
FOLDS_NOTE = (
    "the official protocol is the mean over five folds of WAR (accuracy) and UAR: "
    "emo fit-head m.csv --cv fold. Here one fold is test and the others train, without a val: "
    "-o fold=2 … chooses another, emo manifest split cuts a val from train"
)
"""Note in the report on the official folds."""


@dataclass(frozen=True)
class FoldOptions:
    """Option of data sets with five official folds."""

    fold: Literal["1", "2", "3", "4", "5"] = field(
        default="1",
        metadata={"help": "the official fold whose clips are test; column fold has all five"},
    )


def fold_counts(sizes: Mapping[str, int], fold: str) -> Stated:
    """Return the number of clips in train and test.

    Args:
        sizes: fold -> number of its test clips; each clip is test in one fold.
        fold: the fold that is test.
    """
    return {"clips": {"train": sum(sizes.values()) - sizes[fold], "test": sizes[fold]}}


def read_folds(
    card: DatasetCard,
    tree: Tree,
    fold: str,
    names: Callable[[str, str], Sequence[str]],
    classes: Callable[[Tree, str], Mapping[str, str]],
) -> tuple[list[Row], tuple[str, ...]]:
    """Read the lists of all folds; those of train only check the ones of test.

    Args:
        card: what is known of the data set.
        tree: the download.
        fold: the fold whose clips are test.
        names: split and fold -> endings of the path of their list, the usual one first.
        classes: reads a list of the tree as clip -> class.

    Returns:
        The rows, see :func:`rows_of_folds`; and the usual names of the lists that lack.

    Raises:
        DatasetError: no list is there, or they contradict each other.
    """
    files = {
        (split, each): tree.ending(*names(split, each))
        for split in ("test", "train")
        for each in FOLDS
    }
    if not any(files.values()):
        raise not_here(card, tree)
    lists = {key: classes(tree, file) for key, file in files.items() if file}
    tests, trains = (
        {each: found for (split, each), found in lists.items() if split == wanted}
        for wanted in ("test", "train")
    )
    missing = tuple(names(*key)[0] for key, file in files.items() if file is None)
    return rows_of_folds(tests, trains, fold, tree.root), missing


def rows_of_folds(
    tests: Mapping[str, Mapping[str, str]],
    trains: Mapping[str, Mapping[str, str]],
    fold: str,
    where: object,
) -> list[Row]:
    """Return a row with ``id``, ``split``, ``fold`` and ``label`` for each clip, sorted by id.

    Args:
        tests: fold -> clip -> class, for the lists of test clips that are there.
        trains: fold -> clip -> class, for the lists of train clips that are there.
        fold: the fold whose clips are test.
        where: the download's folder, for the error.

    Raises:
        DatasetError: a clip is test in two folds, train and test in one, or has two classes.
    """
    fold_of: dict[str, str] = {}
    classes: dict[str, set[str]] = defaultdict(set)
    for number, clips in tests.items():
        for name, label in clips.items():
            if name in fold_of:
                raise DatasetError(
                    f"{where}: clip {name} is test in fold {fold_of[name]} and in fold {number}; "
                    "expected one of them"
                )
            if name in trains.get(number, {}):
                raise DatasetError(f"{where}: clip {name} is train and test in fold {number}")
            fold_of[name] = number
            classes[name].add(label)
    for clips in trains.values():
        for name, label in clips.items():
            classes[name].add(label)
    if torn := [name for name, labels in classes.items() if len(labels) > 1]:
        raise DatasetError(
            f"{where}: clip {torn[0]} has the classes {' and '.join(sorted(classes[torn[0]]))} in "
            "two lists; expected one"
        )
    return [
        {
            "id": name,
            "split": "test" if fold_of.get(name) == fold else "train",
            "fold": fold_of.get(name, ""),
            "label": next(iter(classes[name])),
        }
        for name in sorted(classes)
    ]
