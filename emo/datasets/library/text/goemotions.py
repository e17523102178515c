"""GoEmotions: comments of Reddit with one or more of 27 emotions, or neutral."""

from typing import ClassVar

from emo.datasets.dataset import Dataset, DatasetCard, Download, Row, Stated, not_here
from emo.datasets.repeats import RepeatsOptions, Unit, without_repeats
from emo.datasets.tree import Tree
from emo.errors import DatasetError
from emo.machine.untrusted.documents import shortened
from emo.manifest.tasks import SEPARATOR

FILES = {"train": "train.tsv", "val": "dev.tsv", "test": "test.tsv"}
EMOTIONS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion",
    "curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment",
    "excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism", "pride",
    "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
"""Emotions by their number in the files, as in emotions.txt."""


class GoEmotions(Dataset):
    """GoEmotions: 54,263 comments with several labels each, such as ``anger|annoyance``."""

    Options: ClassVar[type] = RepeatsOptions
    card: ClassVar[DatasetCard] = DatasetCard(
        title="GoEmotions",
        where="https://github.com/google-research/google-research/tree/master/goemotions (data/)",
        licence="CC BY 4.0",
        source="Demszky et al. 2020 (2020.acl-main.372); numbers of labels as counted in the "
        "published files",
        layout="train.tsv, dev.tsv, test.tsv (text, numbers of emotions, id; no header), "
        "emotions.txt",
        faults=(
            "the label has several classes: emo fit-head --task label=multilabel; papers report "
            "macro F1 over the 28 classes at a threshold of .3",
            "classes are very uneven: neutral 17,772, grief 96",
            "32 texts of test are in train, too, 10 in val, and 41 of val are in train, mostly "
            "short ones: -o repeats=drop leaves them out of the earlier split",
            "names and religions are masked as [NAME] and [RELIGION]",
            "the texts are unquoted: a reader of quoted CSV loses rows",
            "the raters' 211,225 single votes (full_dataset/) are not read",
            "checked against the published files: all three",
        ),
    )

    @classmethod
    def stated(cls, options: RepeatsOptions) -> Stated:
        """Return the paper's sizes of the splits, and texts by their number of labels."""
        return {
            "clips": {"train": 43410, "val": 5426, "test": 5427},
            "label_count": {"1": 45446, "2": 8124, "3": 655, "4": 37, "5": 1},
        }

    @classmethod
    def read(cls, tree: Tree, options: RepeatsOptions) -> Download:
        """Read the three files."""
        found = {split: tree.find(name) for split, name in FILES.items()}
        if not any(found.values()):
            raise not_here(cls.card, tree)
        names = _names(tree)
        rows: list[Row] = []
        for split, file in found.items():
            lines = tree.text(file).split("\n") if file else []
            rows += [
                _row(f"{tree.root / str(file)}, line {number}", line, split, names)
                for number, line in enumerate(lines, 1)
                if line.strip()
            ]
        _check_ids(tree, rows)
        units = [Unit(row["text"], [row]) for row in rows]
        rows, notes = without_repeats(units, options, what="texts")
        missing = tuple(FILES[split] for split, file in found.items() if file is None)
        return Download(rows, missing=missing, notes=notes)


def _row(where: str, line: str, split: str, names: tuple[str, ...]) -> Row:
    """Return the row of one line.

    Raises:
        DatasetError: the line is not text, numbers and id.
    """
    cells = line.split("\t")
    numbers = cells[1].split(",") if len(cells) >= 3 else []
    if not numbers or not all(n.isdecimal() and int(n) < len(names) for n in numbers):
        raise DatasetError(
            f"{where}: expected a text, numbers from 0 to {len(names) - 1} and an id with tabs "
            f"between them; found {shortened(line)!r}"
        )
    labels = list(dict.fromkeys(names[int(number)] for number in numbers))  # 3,3 is one label
    return {
        "id": cells[2].strip(),
        "text": cells[0],
        "split": split,
        "label": SEPARATOR.join(labels),
        "label_count": str(len(labels)),
    }


def _names(tree: Tree) -> tuple[str, ...]:
    """Return the names of the emotions.

    Raises:
        DatasetError: emotions.txt is there and names other emotions, so that numbers have another
            meaning.
    """
    file = tree.find("emotions.txt")
    found = tuple(tree.text(file).split()) if file else EMOTIONS
    if found != EMOTIONS:
        raise DatasetError(
            f"{tree.root / str(file)}: expected the 28 emotions of the published files in their "
            f"order; found {len(found)}: {shortened(', '.join(found))}"
        )
    return found


def _check_ids(tree: Tree, rows: list[Row]) -> None:
    """Check that no id is used twice.

    Raises:
        DatasetError: an id has two rows.
    """
    seen: set[str] = set()
    for row in rows:
        if row["id"] in seen:
            raise DatasetError(
                f"{tree.root}: the comment {shortened(row['id'])} has two rows; expected one"
            )
        seen.add(row["id"])
