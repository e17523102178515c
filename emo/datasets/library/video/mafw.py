"""MAFW: clips of films, series and shows with eleven emotions, single or several, in five folds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Stated
from emo.datasets.folds import FOLDS_NOTE, FoldOptions, fold_counts, read_folds
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened
from emo.manifest.tasks import SEPARATOR

FOLDERS = {"single": ("single",), "compound": ("compound", "multi", "multiple")}
"""Value of the option classes -> folders that hold its lists."""
EMOTIONS = (
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt",
    "anxiety", "helplessness", "disappointment",
)  # fmt: skip
SIZES = {"1": 1839, "2": 1837, "3": 1833, "4": 1832, "5": 1831}
"""Fold -> test clips of the single emotions."""


@dataclass(frozen=True)
class MafwOptions(FoldOptions):
    """Options of MAFW: the fold, and single or compound emotions."""

    classes: Literal["single", "compound"] = field(
        default="single",
        metadata={
            "help": "single: 11 emotions; compound: 43 classes, 32 of them several emotions such "
            "as sadness_surprise, which column emotions has as sadness|surprise"
        },
    )


class Mafw(Dataset):
    """MAFW: the 9,172 clips of 10,045 with a single emotion, or the set of compound ones."""

    Options: ClassVar[type] = MafwOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="MAFW",
        where="https://mafw-database.github.io/MAFW (agreement)",
        licence="non-commercial research only, by agreement",
        source="Liu et al. 2022 (10.1145/3503161.3548190) and the repository MAFW-database/MAFW; "
        "folds and classes as counted in the lists that MAE-DFER and DFER-CLIP publish",
        layout="Train & Test Set/single/no_caption/set_1/train.txt, test.txt (00025.mp4 anger) … "
        "set_5, and the clips 00025.mp4 in any sub-folder",
        faults=(
            "classes are uneven: 1,470 sadness and 182 disappointment, so UAR is reported beside "
            "WAR",
            "the folds are over clips: nothing keeps those of one film or show in one fold, so "
            "scores say little about unseen ones",
            "21 clips have no sound, as HiCMAE found; they are kept",
            "captions (with_caption) are not read: they describe the emotion, so a model that "
            "reads them has seen the answer",
            "checked against the lists of MAE-DFER and DFER-CLIP (all ten, single emotions): "
            "clips, classes, and that the five tests are apart; the lists of compound emotions and "
            "the folder of the clips were not at hand, so no counts are stated for "
            "-o classes=compound",
        ),
    )

    @classmethod
    def stated(cls, options: MafwOptions) -> Stated:
        """Return the counts of the chosen fold and the classes of the single emotions."""
        if options.classes == "compound":
            return {}
        label = (1390, 639, 625, 1242, 1138, 1470, 1072, 236, 916, 262, 182)
        return {
            **fold_counts(SIZES, options.fold),
            "label": dict(zip(EMOTIONS, label, strict=True)),
            "fold": SIZES,
        }

    @classmethod
    def read(cls, tree: Tree, options: MafwOptions) -> Download:
        """Read the lists of all folds; those of train only check the ones of test."""
        rows, missing = read_folds(
            cls.card, tree, options.fold,
            lambda split, fold: [f"{folder}/no_caption/set_{fold}/{split}.txt"
                                 for folder in FOLDERS[options.classes]],
            _classes,
        )  # fmt: skip
        for row in rows:
            row["video"] = tree.expect(f"{row['id']}.mp4", "data/clips")
            if options.classes == "compound":
                row["emotions"] = row["label"].replace("_", SEPARATOR)
        return Download(rows, missing=missing, notes=(FOLDS_NOTE,))


def _classes(tree: Tree, file: str) -> Mapping[str, str]:
    """Read a list as clip, such as ``00025``, -> emotion, or emotions with ``_`` between them.

    Raises:
        DatasetError: a line is not a clip and known emotions, or a clip has two lines.
    """
    found: dict[str, str] = {}
    lines = [line.split() for line in tree.text(file).split("\n") if line.strip()]
    for number, cells in enumerate(lines, 1):
        if len(cells) != 2 or not set(cells[1].split("_")) <= set(EMOTIONS):
            raise DatasetError(
                f"{tree.root / file}, line {number}: expected a clip and its emotion, such as "
                f"00025.mp4 anger; found {shortened(' '.join(cells))!r}"
            )
        name = cells[0].removesuffix(".mp4")
        if name in found:
            raise DatasetError(f"{tree.root / file}: clip {shortened(name)} has two lines")
        found[name] = cells[1]
    return found
