"""RAF-DB: faces of the web in seven emotions, or eleven compound ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar, Literal

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened

LIST = "list_patition_label.txt"
"""Name of the list of labels, misspelt as published."""
COPIES = {"train": "train_labels.csv", "test": "test_labels.csv"}
"""Split -> table with the columns image and label in copies of the data set."""
EMOTIONS = {
    "basic": ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
    "compound": (
        "happily_surprised", "happily_disgusted", "sadly_fearful", "sadly_angry",
        "sadly_surprised", "sadly_disgusted", "fearfully_angry", "fearfully_surprised",
        "angrily_surprised", "angrily_disgusted", "disgustedly_surprised",
    ),
}  # fmt: skip
"""Subset -> emotions by their number in the list, which begins with 1."""
SIZES = {"basic": {"train": 12271, "test": 3068}, "compound": {"train": 3162, "test": 792}}


@dataclass(frozen=True)
class RafDbOptions:
    """Options of RAF-DB: which subset, and which pictures."""

    subset: Literal["basic", "compound"] = field(
        default="basic", metadata={"help": "basic: 7 emotions; compound: 11 pairs of emotions"}
    )
    pictures: Literal["aligned", "original"] = field(
        default="aligned",
        metadata={"help": "aligned: faces of 100 × 100 pixels; original: the whole pictures"},
    )


class RafDb(Dataset):
    """RAF-DB: 15,339 faces with one of seven emotions; 3,954 with a compound one."""

    Options: ClassVar[type] = RafDbOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="RAF-DB",
        where="http://www.whdeng.cn/RAF/model1.html (request with a university address)",
        licence="non-commercial research only, by agreement",
        source="Li, Deng and Du 2017 (10.1109/CVPR.2017.277); classes of train as counted in the "
        "list that Self-Cure-Network publishes, all others by papers",
        layout=f"basic/EmoLabel/{LIST} (train_00001.jpg 5), "
        "basic/Image/aligned/train_00001_aligned.jpg, basic/Image/original/train_00001.jpg; "
        f"compound/ alike; or a copy's {COPIES['train']} and {COPIES['test']} (image, label)",
        faults=(
            "there is no val: emo manifest split cuts one from train, so that test chooses nothing",
            "the numbers are RAF-DB's own: 1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness, "
            "6 anger, 7 neutral; FER2013's and AffectNet's are others",
            "basic and compound have files of the same names: the folder tells them apart",
            "classes are uneven: 5,957 happiness and 355 fear",
            "checked against the basic train list of Self-Cure-Network (12,271 rows) and against "
            "rows of a published compound list; the basic test list was not at hand, so its "
            "classes are those that papers state",
        ),
    )

    @classmethod
    def stated(cls, options: RafDbOptions) -> Stated:
        """Return the sizes of the subset, and the classes of basic."""
        stated: dict[str, dict[str, int]] = {"clips": SIZES[options.subset]}
        if options.subset == "basic":
            counts = (1619, 355, 877, 5957, 2460, 867, 3204)
            stated["label"] = dict(zip(EMOTIONS["basic"], counts, strict=True))
        return stated

    @classmethod
    def read(cls, tree: Tree, options: RafDbOptions) -> Download:
        """Read the list of labels, or the two tables of a copy."""
        table = tree.ending(f"{options.subset}/EmoLabel/{LIST}", f"{options.subset}/{LIST}")
        other = "basic" if options.subset == "compound" else "compound"
        unnamed = [f for f in tree.files if f.endswith(f"/{LIST}") or f == LIST]
        table = table or next((f for f in unnamed if f"/{other}/" not in f"/{f}"), None)
        copies = {split: tree.find(name) for split, name in COPIES.items()}
        if table is None and not (any(copies.values()) and options.subset == "basic"):
            raise not_here(cls.card, tree)
        stills = _stills(tree, other)
        if table is not None:
            rows = list(_rows(tree, table, options, stills))
            return Download(rows, left_out=_unused(tree, rows))
        rows = [
            row for split, file in copies.items() if file
            for row in _copied(tree, file, split, stills)
        ]  # fmt: skip
        missing = tuple(COPIES[split] for split, file in copies.items() if file is None)
        return Download(rows, missing=missing, left_out=_unused(tree, rows))


def _stills(tree: Tree, other: str) -> Mapping[str, str]:
    """Return name -> path of the pictures that are not of the ``other`` subset."""
    paths = (path for path in reversed(tree.stills) if f"/{other}/" not in f"/{path}")
    return {PurePosixPath(path).name: path for path in paths}


def _unused(tree: Tree, rows: list[Row]) -> dict[str, list[str]]:
    """Return the pictures that no row names, as those of another option."""
    named = {row["video"] for row in rows}
    prefixes = ("train_", "test_")
    others = [path for path in tree.stills if path not in named]
    return {
        "other pictures of RAF-DB": [
            path for path in others if PurePosixPath(path).name.startswith(prefixes)
        ]
    }


def _rows(
    tree: Tree, table: str, options: RafDbOptions, stills: Mapping[str, str]
) -> Iterator[Row]:
    """Return the rows of the published list.

    Raises:
        DatasetError: a line is not a picture of train or test and a number, or a picture has two
            lines.
    """
    seen: set[str] = set()
    lines = [line for line in tree.text(table).split("\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        cells = line.split()
        stem, _, kind = cells[0].rpartition(".")
        split = stem.partition("_")[0]
        if len(cells) != 2 or split not in ("train", "test") or stem in seen:
            raise DatasetError(
                f"{tree.root / table}, line {number}: expected a picture and its number, such as "
                f"train_00001.jpg 5, each picture once; found {shortened(line.strip())!r}"
            )
        seen.add(stem)
        name = f"{stem}_aligned.{kind}" if options.pictures == "aligned" else cells[0]
        folder = f"{options.subset}/Image/{options.pictures}"
        yield {
            "id": stem,
            "video": stills.get(name, f"{folder}/{name}"),
            "split": split,
            "label": _emotion(cells[1], EMOTIONS[options.subset], f"{tree.root / table}"),
        }


def _copied(tree: Tree, file: str, split: str, stills: Mapping[str, str]) -> Iterator[Row]:
    """Return the rows of a copy's table."""
    for line in tree.records(file, ["image", "label"]):
        name = PurePosixPath(line["image"]).name
        yield {
            "id": PurePosixPath(name).stem.removesuffix("_aligned"),
            "video": stills.get(name, f"DATASET/{split}/{line['label']}/{name}"),
            "split": split,
            "label": _emotion(line["label"], EMOTIONS["basic"], f"{tree.root / file}"),
        }


def _emotion(number: str, names: tuple[str, ...], where: str) -> str:
    """Return the emotion of a number.

    Raises:
        DatasetError: the subset has no such number.
    """
    if not (number.isdecimal() and 1 <= int(number) <= len(names)):
        raise DatasetError(
            f"{where}: expected numbers from 1 to {len(names)}; found {shortened(number)!r}. A "
            "list of 11 numbers is that of the compound emotions: -o subset=compound"
        )
    return names[int(number) - 1]
