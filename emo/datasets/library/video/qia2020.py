"""QIA2020 / MERC2020: Korean actors in seven emotions, with word vectors and three labels."""

import re
from typing import Any, ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.tree import Tree
from emo.manifest.cells import SPLITS

TABLES = {"label": "{split}.csv", "label_face": "{split}_face.csv",
          "label_speech": "{split}_speech.csv"}  # fmt: skip
CLIP = re.compile(r"0*(\d+)(?:-[^/]*)?\.mp4")
VECTORS = "text_vectors"


class Qia2020(Dataset):
    """QIA2020: clips with one label for the face, one for the speech and one for the whole."""

    card: ClassVar[DatasetCard] = DatasetCard(
        title="QIA2020 / MERC2020",
        where="https://sites.google.com/view/merc2020 (agreement with KAIST)",
        licence="by agreement, research only",
        source="the competition's page; 40,000 train and 5,000 val as public solutions count them",
        layout="train/*.mp4 with .npz word vectors beside them, val/, test/, and train.csv, "
        "train_face.csv, train_speech.csv, val.csv … (FileID, Emotion)",
        faults=(
            "test has no labels",
            "the words themselves are not published, only their vectors (word_embed, 200 wide): "
            f"emo extract m.csv --backbone arrays -o column={VECTORS}",
            "clips are named 00001-1.mp4, vectors 00001.npz, and in the tables 1",
        ),
    )

    @classmethod
    def stated(cls, options: Any) -> Stated:
        """Return the number of clips in train and val."""
        return {"clips": {"train": 40000, "val": 5000}}

    @classmethod
    def read(cls, tree: Tree, options: Any) -> Download:
        """Read the clips in the tables; test has no tables, so take the clips in its folder."""
        rows: list[Row] = []
        missing: list[str] = []
        for split in SPLITS:
            folder = tree.folder_with([split], split)
            clips = _clips(tree, folder)
            labels, lacking = _labels(tree, split)
            if split != "test" or labels:
                missing += lacking
            numbers = {number for table in labels.values() for number in table} or set(clips)
            for number in sorted(numbers, key=int):
                row = _row(tree, folder, split, number, clips)
                row |= {name: table[number] for name, table in labels.items() if number in table}
                rows.append(row)
            if not numbers:
                missing.append(f"{split}/*.mp4")
        if not rows:
            raise not_here(cls.card, tree)
        return Download(rows, paths=("video", VECTORS), missing=tuple(missing))


def _row(tree: Tree, folder: str, split: str, number: str, clips: dict[str, str]) -> Row:
    """Return the row of the clip ``number``, without labels."""
    clip = clips.get(number, f"{folder}/{number.zfill(5)}-1.mp4")
    vectors = f"{folder}/{number.zfill(5)}.npz"
    is_lacking = split == "test" and vectors not in tree.all
    return {
        "id": f"{split}/{number.zfill(5)}",
        "video": clip,
        VECTORS: "" if is_lacking else vectors,
        "split": split,
    }


def _clips(tree: Tree, folder: str) -> dict[str, str]:
    """Return number -> path of each clip in a folder, such as ``{"1": "train/00001-1.mp4"}``."""
    found: dict[str, str] = {}
    for file in tree.media:
        parent, _, name = file.rpartition("/")
        match = CLIP.fullmatch(name)
        if parent == folder and match:
            found.setdefault(match[1], file)
    return found


def _labels(tree: Tree, split: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Read the labels of a split as column -> number -> emotion, and list missing tables."""
    labels, missing = {}, []
    for column, pattern in TABLES.items():
        name = pattern.format(split=split)
        file = tree.find(name)
        if file is None:
            missing.append(name)
            continue
        lines = tree.records(file, ["FileID", "Emotion"])
        labels[column] = {line["FileID"].lstrip("0") or "0": line["Emotion"] for line in lines}
    return labels, missing
