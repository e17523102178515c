"""DFEW: clips of films with faces in seven emotions, in five official folds."""

from collections.abc import Mapping
from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.folds import FOLDS_NOTE, FoldOptions, fold_counts, read_folds
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened

LISTS = "EmoLabel_DataSplit/{split}(single-labeled)/set_{fold}.csv"
NAMES = ("video_name", "order")
"""Names of the column of clips, in the order in which they are looked for."""
EMOTIONS = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
"""Emotions by their number in the lists, which begins with 1."""
SIZES = {"1": 2341, "2": 2341, "3": 2340, "4": 2339, "5": 2336}
"""Fold -> test clips."""


class Dfew(Dataset):
    """DFEW: the 11,697 clips of 16,372 whose raters agreed on one of seven emotions."""

    Options: ClassVar[type] = FoldOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="DFEW",
        where="https://dfew-dataset.github.io (agreement with Southeast University)",
        licence="research only, by agreement with Southeast University",
        source="Jiang et al. 2020 (10.1145/3394171.3413620) and the repository jiangxingxun/DFEW; "
        "folds and classes as counted in the lists that DFER-CLIP and MAE-DFER publish",
        layout="EmoLabel_DataSplit/train(single-labeled)/set_1.csv … set_5.csv and "
        "test(single-labeled)/ (video_name, label); the clips 1.mp4 or 00001.mp4 in any sub-folder",
        faults=(
            "classes are very uneven: 2,669 neutral and 145 disgust, so UAR is reported beside WAR",
            "the folds are over clips: nothing keeps those of one film or actor in one fold, so "
            "scores say little about unseen ones",
            "frames cut by the authors (Clip/clip_224x224_16f/00001/*.jpg) are not read: emo "
            "takes the clips themselves",
            "checked against the lists of DFER-CLIP and MAE-DFER (all ten): clips, classes, and "
            "that the five tests are apart; the authors' own .csv and the folder of the clips were "
            "not at hand",
        ),
    )

    @classmethod
    def stated(cls, options: FoldOptions) -> Stated:
        """Return the counts of the chosen fold, and the classes of all clips."""
        label = (2445, 1894, 2669, 2173, 1469, 145, 902)
        return {
            **fold_counts(SIZES, options.fold),
            "label": dict(zip(EMOTIONS, label, strict=True)),
            "fold": SIZES,
        }

    @classmethod
    def read(cls, tree: Tree, options: FoldOptions) -> Download:
        """Read the lists of all folds; those of train only check the ones of test."""
        rows, missing = read_folds(
            cls.card, tree, options.fold,
            lambda split, fold: (LISTS.format(split=split, fold=fold),), _classes,
        )  # fmt: skip
        for row in rows:
            row["video"] = _path(tree, row["id"])
        return Download(rows, missing=missing, notes=(FOLDS_NOTE,))


def _classes(tree: Tree, file: str) -> Mapping[str, str]:
    """Read a list as clip, such as ``00001``, -> emotion.

    Raises:
        DatasetError: a line has no number of a clip or of an emotion, or a clip has two lines.
    """
    lines = tree.records(file, ["label"])
    column = next((name for name in NAMES if lines and name in lines[0]), NAMES[0])
    found: dict[str, str] = {}
    for line in lines:
        name, number = line.get(column, "").partition(".")[0], line["label"].partition(".")[0]
        if not (name.isdecimal() and number.isdecimal() and 1 <= int(number) <= len(EMOTIONS)):
            raise DatasetError(
                f"{tree.root / file}: expected a clip's number in {column} and 1 to "
                f"{len(EMOTIONS)} in label; found {shortened(repr(tuple(line.values())))}"
            )
        found[name.zfill(5)] = EMOTIONS[int(number) - 1]
    if len(found) != len(lines):
        raise DatasetError(f"{tree.root / file}: a clip has two lines; expected one for each")
    return found


def _path(tree: Tree, name: str) -> str:
    """Return the path of a clip, whose name may have zeros before the number."""
    there = tree.find(f"{name}.mp4", f"{int(name)}.mp4")
    return there or f"Clip/original/{name}.mp4"
